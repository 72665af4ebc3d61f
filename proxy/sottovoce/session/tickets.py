"""Tickets: a session's word that its client may come again without a signature of the HSM (protocol §6, Tickets).

The server keeps nothing: all it needs to know is sealed in the ticket (`TicketState`), under a key that `TicketBox`
holds.  The client keeps the ticket, the psk that stands for it, and what limits it (`ClientTicket`).
"""

from typing import Protocol

import msgspec

from sottovoce.primitives import Secret, Suite
from sottovoce.session.credentials import Identity

MAX_TICKET_CHAIN_SECONDS = 86_400
"""So long after the last full handshake (the client: proof) no ticket is good any more (protocol §6)."""


class TicketState(msgspec.Struct, frozen=True):
    """What the server seals.  Its owner wipes the psk."""

    psk: Secret
    """res[e], 48 bytes."""
    suite: Suite
    binding_type: int
    authority: bytes
    """In small letters."""
    path: bytes
    anchor_id: bytes
    certificate_sha384: bytes
    """Of the encoded voice certificate that the client believes."""
    certificate_not_after: int
    """When that ends, Unix seconds."""
    identity: Identity
    peer_certificate_sha256: bytes
    """Of the certificate of the outer TLS (a session of kind 3); else empty."""
    verified_at: float
    """When the last full handshake was, Unix seconds: a chain of resumed sessions ends 24 h later."""
    reauthenticate_every: int
    """Of that handshake (ServerParams tag 6): a client takes nothing weaker in a resumed session."""

    def seconds_left(self, wall: float) -> float:
        """How long what is behind the ticket still lasts: the chain of sessions, the certificate, the credential."""
        ends = [self.verified_at + MAX_TICKET_CHAIN_SECONDS, self.certificate_not_after]
        if self.identity.expires_at is not None:
            ends.insert(0, self.identity.expires_at)  # first: then `min` gives a NaN back, which no limit lets pass
        return min(ends) - wall


class SealedTicket(msgspec.Struct, frozen=True):
    """A ticket for a client."""

    ticket: bytes
    lifetime_seconds: int


class TicketBox(Protocol):
    """Seals and opens tickets, and knows which were used.  Nothing here waits."""

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        """Make a ticket; None when there is no key for it now.  `state.psk` stays the caller's to wipe."""
        ...

    def open(self, ticket: bytes, authority: bytes, path: bytes, wall: float) -> TicketState | None:
        """Give what is in a ticket that was sealed here for this authority and path and has not expired; else None.

        Cheap for whatever is no ticket of ours.  The caller wipes the psk.
        """
        ...

    def spend(self, ticket: bytes) -> bool:
        """Mark a ticket used; false if it was already."""
        ...


class ClientTicket(msgspec.Struct, frozen=True):
    """What a client keeps, in memory only.  Times are on the sessions' clock (`now`), which runs on in suspend.

    A resumed session has the identity of the one that the ticket came from, whatever credential the client is given
    then: who has several credentials keeps their tickets apart.
    """

    ticket: bytes
    psk: Secret
    suite: Suite
    binding_type: int
    authority: bytes
    path: bytes
    certificate: bytes
    """The encoded voice certificate that the server last proved itself with."""
    expires_at: float
    verified_at: float
    """When ServerVerify or RekeyVerify was last verified; 24 h later the ticket is of no use."""
    reauthenticate_every: int
    """Of the full handshake (ServerParams tag 6)."""

    def __repr__(self) -> str:
        return f"ClientTicket({len(self.ticket)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what `rich` shows instead of a repr
        return [("bytes", len(self.ticket))]

    def erase(self) -> None:
        """Wipe the psk: the ticket is of no use afterwards."""
        self.psk.wipe()
