"""One direction's keys of the lossy carrier, across epochs: what opens datagrams (protocol §7, Lossy carrier).

    current generation ── kept, for two seconds: the one before it, or the last of the epoch before
           │
           ├─ 1–14 generations ahead, tried aside
           └─ the next epoch, from its generation 0, once its base key is there (`prepare`)

A KID therefore means one key, and no record is ever tried under two.  Each generation has a bitmap of the records that
came, so each opens once.  State moves only after a tag has verified; what cannot be one of ours is dropped without a
word, and what looks like an attack is counted in `failures`, for the session to end at its limit.

`open` is on the path of every voice frame: it compares the start of a record with the current generation's header and
leaves all else to `_open_other`.
"""

from sottovoce.primitives import TAG_BYTES, Secret, Suite, TagError
from sottovoce.session.ratchet import INLINE_COUNTERS, ONE_BYTE_COUNTERS, Generation, key_id, next_base
from sottovoce.wire import WireError, sframe

_KEPT_SECONDS = 2.0
_GENERATIONS = 16
_BEHIND = _GENERATIONS - 1
"""As far ahead as the generation before, counted mod 16: fifteen is never taken for a jump."""


class _Window:
    """A generation's keys, and a bitmap of which of its records have come."""

    __slots__ = ("is_complete", "keys", "kid", "seen")

    def __init__(self, keys: Generation, kid: int, messages_per_key: int) -> None:
        self.keys = keys
        self.kid = kid
        self.seen = bytearray((messages_per_key + 7) // 8)
        self.is_complete = False
        """Whether the sender has gone on to the next generation, so that every CTR of this one was used."""

    def lost(self, messages_per_key: int) -> int:
        """How many records were sealed and have not come, as far as their numbers tell."""
        bits = int.from_bytes(self.seen, "little")
        return (messages_per_key if self.is_complete else bits.bit_length()) - bits.bit_count()


class LossyChain:
    """Opens datagrams.  Wipe it where its owner lets go of it."""

    __slots__ = (
        "_base",
        "_current",
        "_generation",
        "_kept",
        "_lost",
        "_messages_per_key",
        "_next_base",
        "_one_end",
        "_seen",
        "_suite",
        "_two_end",
        "_window",
        "epoch",
        "failures",
        "forget_at",
    )

    def __init__(self, base: Secret, epoch: int, suite: Suite, messages_per_key: int) -> None:
        """Take over `base`: the chain erases it."""
        self._suite = suite
        self._messages_per_key = messages_per_key
        self._kept: _Window | None = None
        self._next_base: Secret | None = None
        self._lost = 0
        self.epoch = epoch
        self.failures = 0
        """Records of this epoch with a wrong tag, an unknown epoch, or a CTR that is too high."""
        self.forget_at: float | None = None
        """When the kept key has to go."""
        self._stand_on(base, self._new_window(base, epoch, 0), 0)

    @property
    def generation(self) -> int:
        """The newest generation that a record came under."""
        return self._generation

    @property
    def lost(self) -> int:
        """How many records the peer has sealed that have not come; more may have been lost behind the last one."""
        kept = self._kept.lost(self._messages_per_key) if self._kept is not None else 0
        return self._lost + kept + self._window.lost(self._messages_per_key)

    def prepare(self, base: Secret) -> None:
        """Take over the base key of the next epoch; a record that verifies under it moves the chain there."""
        self._next_base = base

    def begin_epoch(self, now: float) -> None:
        """Move to the next epoch because the other carrier has; nothing, if this one did before."""
        base = self._next_base
        if base is not None:
            self._enter_epoch(base, self._new_window(base, self.epoch + 1, 0), 0, now)

    def forget(self, now: float) -> None:
        """Erase the kept key if its time is over."""
        if self.forget_at is not None and now >= self.forget_at:
            self._drop_kept()

    def wipe(self) -> None:
        """Erase all; afterwards nothing opens."""
        self._drop_kept()
        self._base.wipe()
        self._current.wipe()
        if self._next_base is not None:
            self._next_base.wipe()

    def open(self, record: bytes, now: float) -> bytes | None:
        """Give the plaintext, with padding, of a record that is one of ours and comes for the first time; else None."""
        current = self._current
        if record.startswith(current.two_bytes):
            end = self._two_end
            counter = int.from_bytes(record[end - 2 : end])
            if counter < ONE_BYTE_COUNTERS:
                return None  # not minimal, or cut off
        elif record.startswith(current.one_byte):
            end = self._one_end
            counter = int.from_bytes(record[end - 1 : end])
            if counter < INLINE_COUNTERS:
                return None
        else:
            return self._open_other(record, now)
        if counter >= self._messages_per_key:
            self.failures += len(record) >= end + TAG_BYTES
            return None
        seen, index, bit = self._seen, counter >> 3, 1 << (counter & 7)
        if seen[index] & bit or len(record) < end + TAG_BYTES:
            return None
        nonce = current.nonce_head + (current.nonce_tail ^ counter).to_bytes(2)
        try:
            plaintext = current.cipher.decrypt(nonce, record[end:], record[:end])
        except TagError:
            self.failures += 1
            return None
        seen[index] |= bit
        return plaintext

    # What is not of the current generation, or has a CTR in its first byte.

    def _open_other(self, record: bytes, now: float) -> bytes | None:
        header = _read_header_untrusted(record)
        if header is None:
            return None
        kid, counter, end = header
        epoch, generation = divmod(kid, _GENERATIONS)
        ahead = (generation - self._generation) % _GENERATIONS
        if counter >= self._messages_per_key:
            self.failures += 1
        elif epoch == self.epoch and ahead == 0:
            return self._open_in(self._window, record, counter, end)
        elif epoch == self.epoch and ahead != _BEHIND:
            return self._open_ahead(record, counter, end, ahead, now)
        elif 0 < epoch in {self.epoch, self.epoch - 1}:
            self.forget(now)
            if self._kept is not None and self._kept.kid == kid:
                return self._open_in(self._kept, record, counter, end)
        elif epoch == self.epoch + 1 and self._next_base is not None:
            if generation != _BEHIND:
                return self._open_next_epoch(self._next_base, record, counter, end, generation, now)
        else:
            self.failures += 1
        return None

    def _open_in(self, window: _Window, record: bytes, counter: int, end: int) -> bytes | None:
        index, bit = counter >> 3, 1 << (counter & 7)
        if window.seen[index] & bit:
            return None
        keys = window.keys
        nonce = keys.nonce_head + (keys.nonce_tail ^ counter).to_bytes(2)
        try:
            plaintext = keys.cipher.decrypt(nonce, record[end:], record[:end])
        except TagError:
            self.failures += 1
            return None
        window.seen[index] |= bit
        return plaintext

    def _open_ahead(self, record: bytes, counter: int, end: int, steps: int, now: float) -> bytes | None:
        """Try a later generation of this epoch; go there if the tag verifies."""
        base = self._base_ahead(self._base, steps)
        window = self._new_window(base, self.epoch, self._generation + steps)
        plaintext = self._open_in(window, record, counter, end)
        if plaintext is None:
            base.wipe()
            window.keys.wipe()
            return None
        self._window.is_complete = True
        self._keep_current(now)
        if steps > 1:
            self._drop_kept()
        self._base.wipe()
        self._lost += (steps - 1) * self._messages_per_key
        self._stand_on(base, window, self._generation + steps)
        return plaintext

    def _open_next_epoch(  # noqa: PLR0913, PLR0917  a record's parts, and where it stands
        self, first_base: Secret, record: bytes, counter: int, end: int, generation: int, now: float
    ) -> bytes | None:
        """Try a generation of the next epoch; go there if the tag verifies."""
        base = self._base_ahead(first_base, generation) if generation else first_base
        window = self._new_window(base, self.epoch + 1, generation)
        plaintext = self._open_in(window, record, counter, end)
        if plaintext is None:
            window.keys.wipe()
            if generation:
                base.wipe()
            return None
        if generation:
            first_base.wipe()
        self._enter_epoch(base, window, generation, now)
        return plaintext

    def _enter_epoch(self, base: Secret, window: _Window, generation: int, now: float) -> None:
        """Stand in the next epoch; of the one before, its last generation is kept for late records."""
        self._keep_current(now)
        self._base.wipe()
        self._next_base = None
        self._lost += generation * self._messages_per_key
        self.epoch += 1
        self.failures = 0
        self._stand_on(base, window, generation)

    def _stand_on(self, base: Secret, window: _Window, generation: int) -> None:
        self._base, self._window, self._generation = base, window, generation
        self._current, self._seen = window.keys, window.seen
        self._one_end = len(window.keys.one_byte) + 1
        self._two_end = len(window.keys.two_bytes) + 2

    def _new_window(self, base: Secret, epoch: int, generation: int) -> _Window:
        kid = key_id(epoch, generation)
        return _Window(Generation(base, kid, self._suite).wake(), kid, self._messages_per_key)

    def _base_ahead(self, base: Secret, steps: int) -> Secret:
        """Derive the base key so many generations ahead; `base` stays as it is."""
        ahead = next_base(base)
        for _ in range(steps - 1):
            before, ahead = ahead, next_base(ahead)
            before.wipe()
        return ahead

    def _keep_current(self, now: float) -> None:
        """Keep the current generation, and it alone, for records that come late."""
        self._drop_kept()
        self._kept, self.forget_at = self._window, now + _KEPT_SECONDS

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._lost += self._kept.lost(self._messages_per_key)
            self._kept.keys.wipe()
        self._kept = self.forget_at = None


def _read_header_untrusted(record: bytes) -> tuple[int, int, int] | None:
    """Give (KID, CTR, header length), or None for what is no SFrame record of ours."""
    if record[:1] < b"\x80":
        return None
    try:
        kid, counter, end = sframe.decode_header_untrusted(record)
    except WireError:
        return None
    return (kid, counter, end) if len(record) >= end + TAG_BYTES else None
