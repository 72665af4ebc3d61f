"""What the edge asks of the rest of the proxy, handed in by `app`: one object for all calls of a listener."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from sottovoce.edge.admission import ServedRoute
from sottovoce.edge.config import VoiceConfig
from sottovoce.edge.journal import Journal
from sottovoce.session import LeafKind, Proof, ServerDependencies
from sottovoce.transport import Clock, CurrentContext


class RootSigner(Protocol):
    """Has leaves signed by the HSM, many in one operation."""

    async def sign(self, kind: LeafKind, leaf: bytes, source: str, deadline: float) -> Proof:
        """Give the proof of one leaf; `source` is the client's IP address, `deadline` on Trio's clock.

        Raises HsmError when there is none by then.  After cancellation the leaf is not signed, or its proof is lost.
        """
        ...


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
