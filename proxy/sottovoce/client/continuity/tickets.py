"""Keeps the tickets that servers gave, for the next calls (protocol §6, Tickets).  In memory only.

A ticket stands for whoever the session was with, so it is offered to nobody else: it is kept by authority, path,
binding type, suite and *owner*.  The owner is a MAC of the credential under a key of this store's own: two credentials
never share a ticket though they share the store, and the store holds nothing from which a token could be guessed.

The newest one counts: it takes the place of the one before.  It is given out once, as a server takes it once; whoever
takes it erases it.  What has expired is erased when the store is next used, the rest by `erase`.

What a ticket may be used for is for the session to judge (the anchor, the certificate's dates, 24 hours); the store
only keeps apart what must not be mixed.  Calls of several threads may share a store.
"""

import threading
from collections.abc import Iterable
from typing import NamedTuple, Self

from sottovoce.primitives import HASH_BYTES, Entropy, Secret, Suite, mac384, wipe_bytes
from sottovoce.session import Carriage, ClientTicket, Credential
from sottovoce.transport import SystemEntropy

MAX_TICKETS = 64


class _Place(NamedTuple):
    owner: bytes
    authority: bytes
    path: bytes
    binding_type: int
    suite: int


class TicketStore:
    """Tickets, at most `MAX_TICKETS`; the oldest gives way.  Use it in a `with` block, or call `erase` at the end."""

    def __init__(self, entropy: Entropy | None = None) -> None:
        self._key = Secret.take("owners of tickets", (entropy or SystemEntropy()).random(HASH_BYTES))
        self._tickets: dict[_Place, ClientTicket] = {}  # the newest last
        self._lock = threading.Lock()

    def owner_of(self, credential: Credential) -> bytes:
        """Give a name for a credential that means something in this store only."""
        token = b"" if credential.token is None else credential.token.copy_for_sealing()
        key = b"" if credential.signer is None else credential.signer.public_key.encoded
        message = b"".join((credential.kind.to_bytes(1), token, key, credential.certificate_sha256 or b""))
        try:
            return mac384(self._key, message)
        finally:
            wipe_bytes(token)
            wipe_bytes(message)

    def put(self, owner: bytes, ticket: ClientTicket, now: float) -> None:
        """Take over a ticket."""
        place = _Place(owner, ticket.authority.lower(), ticket.path, ticket.binding_type, ticket.suite)
        with self._lock:
            self._erase_expired(now)
            self._drop(place)
            while len(self._tickets) >= MAX_TICKETS:
                self._drop(next(iter(self._tickets)))
            self._tickets[place] = ticket

    def take(self, owner: bytes, carriage: Carriage, suites: Iterable[Suite], now: float) -> ClientTicket | None:
        """Give the newest ticket for a carriage and one of these suites, for the caller to erase; None without one."""
        authority = carriage.authority.lower()
        fitting = {_Place(owner, authority, carriage.path, carriage.binding_type, suite) for suite in suites}
        with self._lock:
            self._erase_expired(now)
            place = next((place for place in reversed(self._tickets) if place in fitting), None)
            return None if place is None else self._tickets.pop(place)

    def erase(self) -> None:
        """Erase all tickets.  The store can be used on, and begins anew."""
        with self._lock:
            for place in list(self._tickets):
                self._drop(place)

    def _erase_expired(self, now: float) -> None:
        for place in [place for place, ticket in self._tickets.items() if ticket.expires_at <= now]:
            self._drop(place)

    def _drop(self, place: _Place) -> None:
        ticket = self._tickets.pop(place, None)
        if ticket is not None:
            ticket.erase()

    def __len__(self) -> int:
        return len(self._tickets)

    def __repr__(self) -> str:
        return f"TicketStore({len(self)} tickets)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.erase()
