"""One ticket key where it seals and opens.

Tickets of a key are numbered, so a bit each (a byte, where processes share it) is all that the record of used ones
takes (`used`).  The number travels in the ticket, masked with a MAC of the nonce, for nobody needs to know how many
others were given out between two of his own.  It counts only with the rest: `open` authenticates it.

A key is of no use without its record: where that is gone it neither seals nor spends.
"""

from sottovoce.identity.tickets import layout
from sottovoce.identity.tickets.operations import LivingTicketKey
from sottovoce.identity.tickets.used import UsedTickets
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

_MASK_BYTES = 4


class TicketKey:
    """A key from the moment that it was opened until `erase`."""

    def __init__(self, living: LivingTicketKey, key: Secret, record: UsedTickets) -> None:
        """Derive from `key`, which the caller wipes."""
        self.id = living.id
        self.living = living
        self._record = record
        self._seal_key = labelled(key, "ticket seal", b"", KEY_BYTES)
        self._mask_key = labelled(key, "ticket number", b"")
        self._cipher: Aead | None = cipher_with_key(Cipher.AES_256_GCM, self._seal_key)

    @property
    def is_erased(self) -> bool:
        """Whether nothing of the key is left here."""
        return self._cipher is None and self._seal_key.is_wiped and self._mask_key.is_wiped

    def can_seal(self, now: float) -> bool:
        """Whether it may seal another ticket."""
        return self._cipher is not None and self.living.may_seal(now) and self._record.has_room()

    def seal(self, content: layout.Content, authority: bytes, path: bytes, entropy: Entropy) -> bytes | None:
        """Make a ticket; None when it would be too long.  Asked only after `can_seal`."""
        plaintext = layout.encode_content(content)
        if plaintext is None or self._cipher is None:
            return None
        nonce = entropy.random(NONCE_BYTES)
        head = layout.Head(self.id, nonce, self._record.next_number() ^ self._mask(nonce)).encode()
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
        return self._cipher is not None and self._record.spend(head.masked_number ^ self._mask(head.nonce))

    def erase(self) -> None:
        """Let go of all.  The cipher's own copy is cleansed by its library when it is dropped."""
        self._cipher = None
        self._seal_key.wipe()
        self._mask_key.wipe()

    def _mask(self, nonce: bytes) -> int:
        return int.from_bytes(mac384(self._mask_key, nonce)[:_MASK_BYTES])


def lives(content: layout.Content, wall: float, now: float, *, tolerance_seconds: float) -> bool:
    """Whether a ticket has not expired, on both clocks, and is not of the future.

    The wall clock may be set, so the other one has a say too; and it is the dates behind a ticket that only the wall
    clock can tell.
    """
    age_wall, age = wall - content.issued_wall, now - content.issued_now
    return -tolerance_seconds <= age_wall < content.lifetime_seconds and 0 <= age < content.lifetime_seconds
