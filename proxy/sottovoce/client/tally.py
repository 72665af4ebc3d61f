"""Counts what a call does, for `Statistics`.

The session forgets its keys at its end, so their numbers are kept here.
"""

import msgspec

from sottovoce.client.items import Statistics
from sottovoce.session import ClientSession, events


class Tally:
    """One call's figures, as they come up."""

    def __init__(self, now: float) -> None:
        """Begin when there is a connection."""
        self._known = Statistics()
        self._began_at = self._upgraded_at = now
        self._epoch = self._generation = self._earlier_generations = 0
        self.sent = 0
        self.too_large = 0
        self.received = 0

    def tls_done(self, group: str, now: float) -> None:
        """TLS has shaken hands."""
        self._note(tls_ms=(now - self._began_at) * 1000, tls_group=group)

    def upgraded(self, now: float) -> None:
        """The voice handshake begins."""
        self._upgraded_at = now

    def established(self, event: events.Established, now: float) -> None:
        """The voice keys are agreed."""
        self._note(
            voice_ms=(now - self._upgraded_at) * 1000,
            suite=event.suite.name,
            server_signatures=event.server_signatures,
            session_id=event.session_id.hex(),
            is_resumed=event.is_resumed,
        )

    def ticket(self) -> None:
        """A ticket came."""
        self._note(tickets=self._known.tickets + 1)

    def epoch_started(self, event: events.EpochStarted) -> None:
        """Both sides use the keys of a new epoch."""
        self._note(reauthentications=self._known.reauthentications + event.reauthenticated)

    def keys(self, session: ClientSession) -> None:
        """Look which key this side sends under."""
        epoch = session.epoch
        if not epoch:
            return
        if epoch > self._epoch:
            self._earlier_generations += self._generation + 1 if self._epoch else 0
            self._epoch = epoch
        self._generation = session.generation

    def statistics(self, dropped: int) -> Statistics:
        """Give the figures up to now."""
        return msgspec.structs.replace(
            self._known,
            frames_sent=self.sent - self.too_large,
            frames_too_large=self.too_large,
            frames_received=self.received,
            frames_dropped=dropped,
            epochs=self._epoch,
            generations=self._earlier_generations + self._generation + 1 if self._epoch else 0,
        )

    def _note(self, **known: object) -> None:
        self._known = msgspec.structs.replace(self._known, **known)
