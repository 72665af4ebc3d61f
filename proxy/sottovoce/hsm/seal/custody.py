"""Making a seal, and gathering its shares again.  Pure, but for the library's own random numbers.

What is made is shown once: the shares are nowhere else.  Whoever makes a seal has enough of them typed back into a
`Collector` before the record is written and the PIN's own file goes; until then nothing has happened.
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

import msgspec

from sottovoce.hsm.seal.errors import SealRefused, ShareForeign, ShareForged, ShareRepeated, SharesMissing
from sottovoce.hsm.seal.record import ID_BYTES, MAX_NODES, SealRecord
from sottovoce.hsm.seal.shares import MAX_SHARES, MIN_THRESHOLD, Share, combine_shares, split_key, words_of_set
from sottovoce.primitives import KEY_BYTES, Entropy, Secret


class NewSeal(NamedTuple):
    """A record to be written, and the shares to be shown, numbered from 1; these are the caller's to wipe."""

    record: SealRecord
    shares: list[Secret]


def new_seal(pins: Mapping[str, Secret], threshold: int, count: int, entropy: Entropy) -> NewSeal:
    """Seal the nodes' PINs under a new key and split that.  Raises SealRefused for numbers that make no sense."""
    if not MIN_THRESHOLD <= threshold <= count <= MAX_SHARES:
        text = f"{threshold} of {count} shares cannot be: choose from {MIN_THRESHOLD} of {MIN_THRESHOLD} to "
        raise SealRefused(f"{text}{MAX_SHARES} of {MAX_SHARES}")
    if not 0 < len(pins) <= MAX_NODES:
        raise SealRefused(f"the PINs of {len(pins)} nodes cannot be sealed: 1 to {MAX_NODES} can")
    seal_id = entropy.random(ID_BYTES)
    with Secret.take("seal key", entropy.random(KEY_BYTES)) as key:
        shares = split_key(key, threshold, count, entropy)
        commitments = tuple(share.commitment(seal_id) for share in shares)
        set_name = shares[0].set_name
        empty = SealRecord(id=seal_id, set_name=set_name, threshold=threshold, commitments=commitments, pins={})
        sealed = {node: empty.seal_pin(key, node, pin, entropy) for node, pin in pins.items()}
    texts = [share.to_text() for share in shares]
    for share in shares:
        share.wipe()
    return NewSeal(msgspec.structs.replace(empty, pins=sealed), texts)


class Collector:
    """Takes shares until there are enough to open a seal.  Leaving its `with` block wipes them."""

    def __init__(self, record: SealRecord) -> None:
        """Begin with none."""
        self._record = record
        self._shares: dict[int, Share] = {}

    @property
    def have(self) -> int:
        """How many different shares are there."""
        return len(self._shares)

    @property
    def is_complete(self) -> bool:
        """Whether there are enough."""
        return self.have >= self._record.threshold

    def add(self, text: Secret) -> int:
        """Take a share; give its number.  Raises a SealError that says what is wrong with it; it is not counted then.

        The caller wipes `text`.
        """
        share = Share.of(text)
        try:
            self._refuse_unless_new(share)
        except Exception:
            share.wipe()
            raise
        self._shares[share.number] = share
        return share.number

    def open(self) -> dict[str, Secret]:
        """Give each node's PIN.  Raises SharesMissing, or SealDamaged where the record is not what was made."""
        wanted = self._record.threshold
        if not self.is_complete:
            text = f"{self.have} of the {wanted} shares that it takes are there: {wanted - self.have} more to come"
            raise SharesMissing(text)
        with combine_shares(list(self._shares.values())) as key:
            return {node: self._record.open_pin(key, node) for node in self._record.pins}

    def wipe(self) -> None:
        """Forget all shares."""
        for share in self._shares.values():
            share.wipe()
        self._shares.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def _refuse_unless_new(self, share: Share) -> None:
        record = self._record
        if share.set_name != record.set_name or not share.is_ours:
            ours, theirs = words_of_set(record.set_name), words_of_set(share.set_name)
            text = (
                f"the share is of another set: it is of '{theirs}', this seal's begin with '{ours}'; ask for such a one"
            )
            raise ShareForeign(text)
        known = dict(enumerate(record.commitments, start=1)).get(share.number)
        if known != share.commitment(record.id):
            raise ShareForged(
                f"the share says that it is number {share.number} of this seal's set and is not: "
                "keep it, and ask its holder where it is from"
            )
        if share.number in self._shares:
            raise ShareRepeated(f"share {share.number} was given already: ask the holder of another one")
        if self.is_complete:
            raise SealRefused(f"{self.have} shares are there, which is enough: open the seal")
