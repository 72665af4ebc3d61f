"""Shares of a key, as words for people: SLIP-39 by `shamir-mnemonic`, whose only home this is.

One group, `threshold` of `count`, an empty passphrase, the extendable form, and the smallest iteration exponent: it
slows down who guesses a passphrase, and there is none.  So any SLIP-39 tool gives the same 32 bytes for these words.

The library says of itself that it is a reference, unhardened, and not for secrets.  We take it for what it does do,
right results in a format that others read, and bound what it leaves behind: it works with `str`, `int` and `bytes` that
nobody can wipe, and looks up tables at secret places.  What we get from it we wipe; the rest goes with the process in
which it ran.  So shares are made, and are combined, in processes that end at once (see `unsealer`), never in the proxy.
"""

from typing import Self

from shamir_mnemonic import EncryptedMasterSecret, MnemonicError, recover_ems, split_ems  # type: ignore[import-untyped]
from shamir_mnemonic.shamir import ShareGroup  # type: ignore[import-untyped]
from shamir_mnemonic.share import Share as _Slip39Share  # type: ignore[import-untyped]
from shamir_mnemonic.wordlist import WORD_INDEX_MAP, WORDLIST  # type: ignore[import-untyped]

from sottovoce.hsm.seal.errors import SealDamaged, ShareCorrupt, ShareMalformed
from sottovoce.primitives import Entropy, Secret, sha384, wipe_bytes

MIN_THRESHOLD = 2
"""With one, each share would be a key by itself."""
MAX_SHARES = 16
"""SLIP-39's."""
WORDS = 33
"""Of a share of 32 bytes: four that name set and share, 26 of the value, three of the checksum."""
MAX_TEXT_BYTES = 1024
_SET_NAME_BITS = 15
_EXTENDABLE, _ITERATION_EXPONENT = True, 0
_LABEL = b"sottovoce.v1 seal share\x00"


class Share:
    """One share.  Its value is wiped by `wipe`."""

    def __init__(self, share: _Slip39Share) -> None:
        """Made by `split_key` and `Share.of` only."""
        self._share = share

    @classmethod
    def of(cls, text: Secret) -> Self:
        """Read a share as its holder types it: words with space between, in small or capital letters.

        Raises ShareMalformed or ShareCorrupt.  The caller wipes `text`.
        """
        raw = text.copy_for_sealing()
        try:
            words = raw[:MAX_TEXT_BYTES].decode("ascii").lower().split()
        except UnicodeDecodeError:
            raise ShareMalformed("the share has a letter that no share has: type its words, nothing else") from None
        finally:
            wipe_bytes(raw)
        if len(words) != WORDS:
            raise ShareMalformed(f"a share has {WORDS} words, this one has {len(words)}: compare it with the paper")
        for place, word in enumerate(words, start=1):
            if word not in WORD_INDEX_MAP:
                raise ShareMalformed(f"word {place} of the share is not on SLIP-39's list: compare it with the paper")
        try:
            return cls(_Slip39Share.from_mnemonic(" ".join(words)))
        except MnemonicError:  # its text holds words of the share
            text_ = "the share has a mistake in it, its last three words do not fit: compare each word with the paper"
            raise ShareCorrupt(text_) from None

    def to_text(self) -> Secret:
        """Give the words, with a space between."""
        return Secret.take("share", self._share.mnemonic().encode("ascii"))

    @property
    def set_name(self) -> int:
        """What all shares of one splitting have in common, and with luck no others: 15 random bits."""
        return int(self._share.identifier)

    @property
    def threshold(self) -> int:
        """How many it takes."""
        return int(self._share.member_threshold)

    @property
    def number(self) -> int:
        """Which of the set it is, from 1."""
        return int(self._share.index) + 1

    @property
    def is_ours(self) -> bool:
        """Whether it is of the one form that we make."""
        form = self._share.common_parameters()
        return bool(form == (self.set_name, _EXTENDABLE, _ITERATION_EXPONENT, 1, 1))

    def commitment(self, seal_id: bytes) -> bytes:
        """Give 48 bytes by which the share is known again, and not found: its value is as random as a key."""
        return sha384(_LABEL, seal_id, bytes([self.threshold, self.number]), self._share.value)

    def wipe(self) -> None:
        """Overwrite the value; the share is of no use afterwards."""
        wipe_bytes(self._share.value)

    def add_to(self, group: ShareGroup) -> None:
        """Hand it to the library."""
        group.add(self._share)


def split_key(key: Secret, threshold: int, count: int, entropy: Entropy) -> list[Share]:
    """Split a key of 32 bytes.  The coefficients are the library's own, from the system's generator."""
    set_name = int.from_bytes(entropy.random(2)) >> (16 - _SET_NAME_BITS)
    value = key.copy_for_sealing()
    try:
        master = EncryptedMasterSecret.from_master_secret(value, b"", set_name, _EXTENDABLE, _ITERATION_EXPONENT)
        shares = split_ems(1, [(threshold, count)], master)[0]
        wipe_bytes(master.ciphertext)
    finally:
        wipe_bytes(value)
    return [Share(share) for share in shares]


def combine_shares(shares: list[Share]) -> Secret:
    """Give the key of exactly as many shares of one set as it takes.  Raises SealDamaged when they give none."""
    group = ShareGroup()
    for share in shares:
        share.add_to(group)
    try:
        master = recover_ems({0: group})
    except MnemonicError:
        raise SealDamaged("the shares do not give a key: the seal's file was changed, restore it") from None
    try:
        return Secret.take("seal key", master.decrypt(b""))
    finally:
        wipe_bytes(master.ciphertext)


def words_of_set(set_name: int) -> str:
    """Give the two words with which every share of a set begins."""
    number = set_name << 5 | _EXTENDABLE << 4 | _ITERATION_EXPONENT
    return f"{WORDLIST[number >> 10]} {WORDLIST[number & 0x3FF]}"
