"""What the edge asks of the rest of the proxy, handed in by `app`: one object for all calls of a listener.

A reload makes a new one and puts it in the old one's place (`CurrentServices.replace`): a connection takes what is
there when it comes, and keeps it to its end.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
import trio

from sottovoce.edge.config import VoiceConfig
from sottovoce.edge.gate import ServedRoute, Turnstile
from sottovoce.edge.journal import Journal
from sottovoce.hsm.seal import Effects, Unsealed
from sottovoce.plane import Plane
from sottovoce.session import ServerDependencies, SignatureWanted, Signed
from sottovoce.transport import Clock, CurrentContext


class RootSigner(Protocol):
    """Has leaves signed by the HSM, many in one operation."""

    async def sign(self, wanted: SignatureWanted, source: str, deadline: float) -> Signed:
        """Give the proof of one leaf, and the certificate it is made under; the signer chooses that.

        `source` is the client's address, of IPv6 its /64, `deadline` on Trio's clock.  Raises HsmError when there is no
        proof by then.  After cancellation the leaf is not signed, or its proof is lost.
        """
        ...


class Seal(Protocol):
    """Tells what an HSM that is sealed, or not, means for calls."""

    @property
    def effects(self) -> Effects:
        """Those of the moment."""
        ...


JUDGES = 4
"""Credentials that are judged at the same time, each in a thread; further ones wait, as long as a handshake may."""


class EdgeServices(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a connection needs beside its socket."""

    tls: CurrentContext
    routes: Mapping[str, ServedRoute]
    voice: VoiceConfig
    credential_kinds: tuple[int, ...]
    parts: ServerDependencies
    signer: RootSigner
    clock: Clock
    journal: Journal
    plane: Plane
    judging: trio.CapacityLimiter = msgspec.field(default_factory=lambda: trio.CapacityLimiter(JUDGES))
    seal: Seal = msgspec.field(default_factory=Unsealed)
    turnstile: Turnstile = msgspec.field(default_factory=Turnstile)
    shut_seconds: int | None = None
    """Where there is no room for a call: it is refused with HTTP 503, and told to come again after so long."""


class CurrentServices:
    """The services that new connections take."""

    __slots__ = ("services",)

    def __init__(self, services: EdgeServices) -> None:
        self.services = services

    def replace(self, services: EdgeServices) -> None:
        """Let connections from now on use `services`; those already made keep what they have."""
        self.services = services
