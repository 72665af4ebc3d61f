"""One direction's keys within an epoch: SFrame sealing and opening, and the step to the next generation (§7, §8).

A chain begins with a base key.  Each generation has a key and a salt derived from it, serves `messages per key`
records with CTR from 0, and is then replaced: `base' = Expand(Extract("", base), "SFrame 1.0 Ratchet", 64)`, so an
earlier generation cannot be opened with a later base.

Both classes are on the path of every voice frame, so everything that is the same for all records of a generation is
computed once.  `ReceiveChain` compares the start of a record with the one header that may come next; only a record
that differs is looked at closely, to find out which rule it broke.

A keyed cipher is 2.7 KiB, more than all else that a silent direction holds.  So a chain of which little is wanted
*rests*: it keys a cipher for one record and drops it, until records come one after the other (`_Resting`).  So it
begins.
"""

from typing import Final, Protocol, Self

from sottovoce.primitives import (
    TAG_BYTES,
    Aead,
    ApiMisuse,
    Secret,
    Suite,
    TagError,
    cipher_with_key,
    sframe_derive,
    split_nonce,
    wipe_bytes,
)
from sottovoce.wire import Code, WireError, bad_record, sframe

_KEY_BYTES = 32
_SALT_BYTES = 12
_BASE_BYTES = 64
_GENERATIONS = 16
_IS_ERASED = "an erased chain was used"
INLINE_COUNTERS = 8
ONE_BYTE_COUNTERS = 256
"""From here on a CTR takes two bytes; below `INLINE_COUNTERS` none (RFC 9605 §4.3)."""
RESTING_RECORDS = 8
"""So many may pass at rest, where each costs 20 microseconds more: a heartbeat, a step to the next epoch."""


class Sealing(Protocol):
    """What seals and opens, as far as a generation uses it: nonce, data, associated data."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Give ciphertext ‖ tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Give the plaintext.  Raises TagError."""
        ...


def key_id(epoch: int, generation: int) -> int:
    """KID = epoch << 4 | (generation mod 16)."""
    return epoch << 4 | generation % _GENERATIONS


def next_base(base: Secret) -> Secret:
    """The base key of the generation behind that of `base`, which stays the caller's to wipe."""
    return _derive(base, b"SFrame 1.0 Ratchet", _BASE_BYTES, "sframe base")


def _derive(base: Secret, info: bytes, length_bytes: int, name: str) -> Secret:
    """Derive from a base key that is one: what follows from an erased one, which is zeros, everybody knows."""
    if base.is_wiped:
        raise ApiMisuse(_IS_ERASED)
    return sframe_derive(base, info, length_bytes, name)


class Generation:
    """Key, nonce and header material of one generation.

    CTR stays below 65 536 (messages per key), so only the last two bytes of a nonce differ from the salt.
    """

    __slots__ = ("_base", "_suite", "cipher", "kid", "nonce_head", "nonce_tail", "one_byte", "two_bytes")

    def __init__(self, base: Secret, kid: int, suite: Suite) -> None:
        """Derive from `base`, which stays the caller's, to wipe behind this; begin at rest."""
        self._base = base
        self._suite = suite
        self.kid = kid
        with _derive(base, b"SFrame 1.0 Secret salt " + self._info, _SALT_BYTES, "sframe salt") as salt:
            self.nonce_head, self.nonce_tail = split_nonce(salt)
        self.one_byte = sframe.encode_header(kid, INLINE_COUNTERS)[:-1]
        self.two_bytes = sframe.encode_header(kid, ONE_BYTE_COUNTERS)[:-2]
        self.cipher: Sealing = _Resting(self)

    @property
    def _info(self) -> bytes:
        return self.kid.to_bytes(8) + self._suite.sframe_suite.to_bytes(2)

    def keyed(self) -> Aead:
        """Give a keyed cipher, which this does not keep."""
        with _derive(self._base, b"SFrame 1.0 Secret key " + self._info, _KEY_BYTES, "sframe key") as key:
            return cipher_with_key(self._suite.cipher, key)

    def wake(self) -> Self:
        """Keep a keyed cipher from now on."""
        self.cipher = self.keyed()
        return self

    def rest(self) -> None:
        """Drop the cipher, and with it the key; nothing, where it was erased."""
        if self.cipher is not _ERASED:
            self.cipher = _Resting(self)

    def header(self, counter: int) -> bytes:
        """The minimal SFrame header for CTR `counter`."""
        if counter >= ONE_BYTE_COUNTERS:
            return self.two_bytes + counter.to_bytes(2)
        if counter >= INLINE_COUNTERS:
            return self.one_byte + counter.to_bytes(1)
        return sframe.encode_header(self.kid, counter)

    def wipe(self) -> None:
        """Erase what we own of it; afterwards it refuses to work."""
        wipe_bytes(self.nonce_head)
        self.nonce_tail = 0
        self.cipher = _ERASED


class _Resting:
    """In the place of a cipher: keys one for each record, and for good when there are many."""

    __slots__ = ("_generation", "_records")

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._records = 0

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        return self._cipher().encrypt(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        return self._cipher().decrypt(nonce, data, associated_data)

    def _cipher(self) -> Sealing:
        self._records += 1
        generation = self._generation
        return generation.keyed() if self._records <= RESTING_RECORDS else generation.wake().cipher


class _Erased:
    """In the place of a cipher whose key is gone."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        del nonce, data, associated_data
        raise ApiMisuse(_IS_ERASED)

    decrypt = encrypt


_ERASED: Final = _Erased()


class _Chain:
    """What both directions share: the base key, the current generation, and the step to the next."""

    __slots__ = (
        "_base",
        "_current",
        "_generation",
        "_looked_at",
        "_next_counter",
        "_suite",
        "epoch",
        "messages_per_key",
    )

    def __init__(self, base: Secret, epoch: int, suite: Suite, messages_per_key: int) -> None:
        """Take over `base`: the chain erases it."""
        self._base = base
        self._suite = suite
        self.epoch = epoch
        self.messages_per_key = messages_per_key
        self._generation = 0
        self._next_counter = 0
        self._looked_at = 0
        self._current = Generation(base, key_id(epoch, 0), suite)

    @property
    def generation(self) -> int:
        """The generation of the last record."""
        return self._generation

    def _following(self) -> tuple[Secret, Generation]:
        """Derive the next generation aside; nothing of this chain changes."""
        base = next_base(self._base)
        return base, Generation(base, key_id(self.epoch, self._generation + 1), self._suite).wake()

    def _advance(self, base: Secret, generation: Generation) -> None:
        """Move on, and erase what came before."""
        self._base.wipe()
        self._current.wipe()
        self._base, self._current = base, generation
        self._generation += 1

    def rest(self) -> None:
        """Drop the cipher if few records have passed since this was last called; to be called every now and then.

        Records go on passing, of which the first few cost more.
        """
        passed, self._looked_at = self._next_counter - self._looked_at, self._next_counter
        if 0 <= passed <= RESTING_RECORDS:
            self._current.rest()

    def wipe(self) -> None:
        """Erase the chain; afterwards it refuses to work."""
        self._base.wipe()
        self._current.wipe()


class SendChain(_Chain):
    """Seals records: CTR is taken at sealing, and no (KID, CTR) twice."""

    __slots__ = ()

    def seal(self, plaintext: bytes) -> bytes:
        """Seal one plaintext, already padded, into a whole SFrame record."""
        counter = self._next_counter
        if counter == self.messages_per_key:
            self._advance(*self._following())
            counter = 0
        self._next_counter = counter + 1
        current = self._current
        # Spelt out for most counters: a call costs a tenth of the whole.
        header = current.two_bytes + counter.to_bytes(2) if counter >= ONE_BYTE_COUNTERS else current.header(counter)
        nonce = current.nonce_head + (current.nonce_tail ^ counter).to_bytes(2)
        return header + current.cipher.encrypt(nonce, plaintext, header)


class ReceiveChain(_Chain):
    """Opens records of an ordered carrier: exactly the next one (§7, Ordered carrier)."""

    __slots__ = ("_expected",)

    def __init__(self, base: Secret, epoch: int, suite: Suite, messages_per_key: int) -> None:
        """Take over `base`: the chain erases it."""
        super().__init__(base, epoch, suite, messages_per_key)
        self._expected = self._current.header(0)

    def open(self, record: bytes) -> bytes:
        """Open the next record; gives its plaintext with padding.  Raises WireError; then nothing has moved."""
        counter = self._next_counter
        header = self._expected
        sealed = record.removeprefix(header)
        if sealed is record:
            raise self._fault_of(record)
        if counter == self.messages_per_key:
            return self._open_next_generation(record)
        current = self._current
        nonce = current.nonce_head + (current.nonce_tail ^ counter).to_bytes(2)
        try:
            plaintext = current.cipher.decrypt(nonce, sealed, header)
        except TagError:
            raise _unopened(record, header) from None
        self._next_counter = counter = counter + 1
        if ONE_BYTE_COUNTERS <= counter < self.messages_per_key:  # spelt out for most, as in `seal`
            self._expected = current.two_bytes + counter.to_bytes(2)
        elif counter < self.messages_per_key:
            self._expected = current.header(counter)
        else:
            self._expected = sframe.encode_header(key_id(self.epoch, self._generation + 1), 0)
        return plaintext

    def _open_next_generation(self, record: bytes) -> bytes:
        """The last CTR of a generation is spent: only CTR 0 of the next one fits.  It is derived aside first."""
        base, following = self._following()
        header = following.header(0)
        nonce = following.nonce_head + following.nonce_tail.to_bytes(2)
        try:
            plaintext = following.cipher.decrypt(nonce, record[len(header) :], header)
        except TagError:
            base.wipe()
            following.wipe()
            raise _unopened(record, header) from None
        self._advance(base, following)
        self._next_counter = 1
        self._expected = following.header(1)
        return plaintext

    def _fault_of(self, record: bytes) -> WireError:
        """Name the rule that a record breaks which does not begin with the expected header, in the order of §7."""
        if record[:1] < b"\x80":
            return bad_record("not an SFrame record")
        try:
            _, counter, header_bytes = sframe.decode_header_untrusted(record)
        except WireError as error:
            return error
        if len(record) < header_bytes + TAG_BYTES:
            return bad_record("a record is shorter than header and tag")
        if counter >= self.messages_per_key:
            return WireError(Code.KEY_LIMIT, "a CTR is not below messages per key")
        return WireError(Code.REPLAY_OR_GAP, "a record is not the next one")


def _unopened(record: bytes, header: bytes) -> WireError:
    if len(record) < len(header) + TAG_BYTES:
        return bad_record("a record is shorter than header and tag")
    return WireError(Code.DECRYPT_FAILED, "a record's tag is wrong")
