"""Who carries the calls of a proxy: this process, or workers.  What the rest of the proxy tells them, and hears."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from sottovoce.app.floor.load import Load
from sottovoce.app.floor.staff import Staff
from sottovoce.edge import AuditNotes
from sottovoce.edge.services import Seal
from sottovoce.hsm import Pool
from sottovoce.hsm.seal import Effects
from sottovoce.identity import BatchEvent, ClientsContents, TicketOutcome
from sottovoce.identity.batch import ServedCertificates
from sottovoce.relay import Route
from sottovoce.session import ServingAnchors, TicketBox
from sottovoce.settings import Configuration
from sottovoce.transport import TlsIdentity


class VoiceCertificates(ServedCertificates, ServingAnchors, Protocol):
    """The voice certificates to serve under."""


class CountedTickets(TicketBox, Protocol):
    """Tickets, and what became of them."""

    @property
    def outcomes(self) -> Mapping[TicketOutcome, int]:
        """How often each has come."""
        ...

    @property
    def key_age_seconds(self) -> float | None:
        """How old the key is that seals; None when there is none."""
        ...


class Supplies(msgspec.Struct, frozen=True, kw_only=True):
    """What calls are given of keys and logs by whoever keeps them."""

    pool: Pool
    voice: VoiceCertificates
    tickets: CountedTickets
    seal: Seal
    audit: AuditNotes
    report: Callable[[BatchEvent], None]
    """Is told what becomes of each batch of signatures."""


class Change(msgspec.Struct, frozen=True):
    """A configuration that was read and holds, with what was made of it."""

    configuration: Configuration
    routes: Mapping[str, Route]
    clients: ClientsContents


class Carrier(Protocol):
    """Carries calls, and does as it is told."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` of each listener, as it was got."""
        ...

    @property
    def load(self) -> Load:
        """What is and was carried; with workers, as they told it last."""
        ...

    @property
    def staff(self) -> Staff | None:
        """The workers; None: this process carries calls itself."""
        ...

    def install(self, identity: TlsIdentity) -> None:
        """Serve connections from now on under this certificate."""
        ...

    def heed(self, effects: Effects) -> None:
        """Do what it means that the HSM was sealed or unsealed; never waits."""
        ...

    async def prepare(self, change: Change) -> None:
        """See that a changed configuration can be taken.  Raises SottovoceError where it cannot."""
        ...

    async def apply(self, change: Change) -> int:
        """Take what was prepared: for calls to come, and who may no longer call loses his; gives how many did."""
        ...

    async def take_clients(self, contents: ClientsContents) -> int:
        """Let these call from now on, and end the calls of those who may no longer; gives how many ended."""
        ...

    async def recheck(self) -> None:
        """End the calls of those whose time is over."""
        ...

    async def serve(self) -> None:
        """Take calls until `drain`; return when the last has gone, or its time is over."""
        ...

    def drain(self, spread_seconds: float, stop_seconds: float) -> None:
        """Let nobody in and send the calls away."""
        ...
