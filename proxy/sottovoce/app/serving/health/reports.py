"""`Reports`: what the parts tell goes to whoever writes it down and to whoever says how the proxy does."""

from sottovoce.app.ledger import Kind, Ledger
from sottovoce.app.serving.health.health import Health
from sottovoce.hsm import TokenEvent
from sottovoce.identity import BatchEvent, TicketKeyEvent
from sottovoce.pki import RenewalEvent


def _nobody_asks() -> None:
    """Whoever serves under them reads them where they are."""


class Reports:
    """Gives what the parts report to the ledger, which writes it down, and to the proxy's health."""

    def __init__(self, ledger: Ledger, health: Health) -> None:
        """Give it to these."""
        self._ledger = ledger
        self._health = health
        self.voice_changed = _nobody_asks
        """Told when there is another voice certificate."""

    def token(self, node: str, event: TokenEvent) -> None:
        """Take what became of a node's token process."""
        self._ledger.token(node, event)
        self._health.token(node, event)

    def certificate(self, kind: Kind, event: RenewalEvent) -> None:
        """Take what became of a certificate."""
        self._ledger.certificate(kind, event)
        self._health.certificate(kind, event)
        if kind == "voice":
            self.voice_changed()

    def ticket_key(self, event: TicketKeyEvent) -> None:
        """Take what became of a ticket key."""
        self._ledger.ticket_key(event)
        self._health.ticket_key(event)

    def batch(self, event: BatchEvent) -> None:
        """Take what became of a batch of leaves."""
        self._ledger.batch(event)
        self._health.batch(event)
