"""One ticket key: it seals, opens, and knows which of its tickets were used.  Pure.

Tickets of a key are numbered, so a bit each is all that the record of used ones takes: 2 MiB for the 2^24 that a key
seals at most.  The number travels in the ticket, masked with a MAC of the nonce, for nobody needs to know how many
others were given out between two of his own.  It counts only with the rest: `open` authenticates it.

Key and record live in one object and are erased in one step (protocol §6: a node that has lost its record of used
tickets erases its ticket keys).
"""

from sottovoce.hsm import WrappedKey
from sottovoce.identity.tickets import layout
from sottovoce.primitives import (
    KEY_BYTES,
    NONCE_BYTES,
    Aead,
    Cipher,
    Entropy,
    Secret,
    TagError,
    cipher_with_key,
    labelled,
    mac384,
    wipe_bytes,
)

MAX_SEAL_SECONDS = 3_600
"""A key that was not replaced by then seals no more (protocol §6: at least hourly)."""
MAX_TICKETS = 1 << 24
"""Of one key: 4 600 a second for an hour.  Bounds the record of used tickets and the chance that two nonces meet."""
_MASK_BYTES = 4


def key_id_of(wrapped: WrappedKey) -> bytes:
    """Give the id under which a key's tickets name it: of its random serial, which is authenticated with it."""
    return wrapped.serial[: layout.KEY_ID_BYTES]


class TicketKey:
    """A key from the moment that it was opened until `erase`."""

    def __init__(self, wrapped: WrappedKey, key: Secret, now: float, *, max_tickets: int = MAX_TICKETS) -> None:
        """Derive from `key`, which the caller wipes.  `wrapped` is kept for whoever is to have the same key."""
        self.id = key_id_of(wrapped)
        self.wrapped = wrapped
        self.seals_until = now + MAX_SEAL_SECONDS
        self.opens_until = now
        """When its last ticket expires."""
        self.sealed = 0
        self.spent = 0
        self._max_tickets = max_tickets
        self._seal_key = labelled(key, "ticket seal", b"", KEY_BYTES)
        self._mask_key = labelled(key, "ticket number", b"")
        self._cipher: Aead | None = cipher_with_key(Cipher.AES_256_GCM, self._seal_key)
        self._used = bytearray()

    @property
    def is_erased(self) -> bool:
        """Whether nothing of the key is left here."""
        return self._cipher is None and self._seal_key.is_wiped and self._mask_key.is_wiped

    def can_seal(self, now: float) -> bool:
        """Whether it may seal another ticket."""
        return self._cipher is not None and now < self.seals_until and self.sealed < self._max_tickets

    def seal(self, content: layout.Content, authority: bytes, path: bytes, entropy: Entropy) -> bytes | None:
        """Make a ticket; None when it would be too long.  Asked only while `can_seal`."""
        plaintext = layout.encode_content(content)
        if plaintext is None or self._cipher is None:
            return None
        nonce = entropy.random(NONCE_BYTES)
        head = layout.Head(self.id, nonce, self.sealed ^ self._mask(nonce)).encode()
        self.sealed += 1
        self.opens_until = max(self.opens_until, content.issued_now + content.lifetime_seconds)
        try:
            return head + self._cipher.encrypt(nonce, plaintext, layout.associated_data(head, authority, path))
        finally:
            wipe_bytes(plaintext)

    def open(self, ticket: bytes, head: layout.Head, authority: bytes, path: bytes) -> layout.Content | None:
        """Give what is in a ticket that this key sealed for this place; the caller wipes the psk in it."""
        if self._cipher is None:
            return None
        data = layout.associated_data(head.encode(), authority, path)
        try:
            plaintext = self._cipher.decrypt(head.nonce, layout.body_of(ticket), data)
        except TagError:
            return None
        try:
            return layout.decode_content(plaintext)
        finally:
            wipe_bytes(plaintext)

    def spend(self, head: layout.Head) -> bool:
        """Mark a ticket used that was opened; false if it was already, or was never given out."""
        if self._cipher is None:
            return False
        number = head.masked_number ^ self._mask(head.nonce)
        if number >= self.sealed:
            return False
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._used):
            self._used.extend(bytes(place + 1 - len(self._used)))
        if self._used[place] & bit:
            return False
        self._used[place] |= bit
        self.spent += 1
        return True

    def erase(self) -> None:
        """Let go of all.  The cipher's own copy is cleansed by its library when it is dropped."""
        self._cipher = None
        self._seal_key.wipe()
        self._mask_key.wipe()
        self._used.clear()

    def _mask(self, nonce: bytes) -> int:
        return int.from_bytes(mac384(self._mask_key, nonce)[:_MASK_BYTES])


def lives(content: layout.Content, wall: float, now: float, *, tolerance_seconds: float) -> bool:
    """Whether a ticket has not expired, on both clocks, and is not of the future.

    The wall clock may be set, so the other one has a say too; and it is the dates behind a ticket that only the wall
    clock can tell.
    """
    age_wall, age = wall - content.issued_wall, now - content.issued_now
    return -tolerance_seconds <= age_wall < content.lifetime_seconds and 0 <= age < content.lifetime_seconds
