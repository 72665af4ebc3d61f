"""Shares as words: what is read back, what is refused, and by which name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic import combine_mnemonics
from shamir_mnemonic.wordlist import WORDLIST

from sottovoce.hsm.seal import ShareCorrupt, ShareMalformed
from sottovoce.hsm.seal.shares import WORDS, Share, combine_shares, split_key, words_of_set
from sottovoce.primitives import Secret
from tests.hsm.seal.made import Chance, made, typed

KEY = bytes(range(32))
SHARES = [share.to_text().copy_for_sealing().decode() for share in split_key(Secret("key", KEY), 2, 3, Chance(1))]


def test_a_share_reads_back_in_any_case_and_spacing() -> None:
    share = Share.of(typed("\n " + SHARES[1].upper().replace(" ", "  \t") + "\r\n"))
    assert (share.number, share.threshold, share.is_ours) == (2, 2, True)
    assert share.to_text() == typed(SHARES[1])


def test_two_shares_give_the_key_and_wiped_they_do_not() -> None:
    shares = [Share.of(typed(text)) for text in SHARES[1:]]
    assert combine_shares(shares) == Secret("key", KEY)
    before = shares[0].commitment(b"id")
    shares[0].wipe()
    assert shares[0].commitment(b"id") != before


def test_any_other_tool_of_slip_39_gives_the_same_key() -> None:
    assert combine_mnemonics(SHARES[:2]) == KEY


def test_the_first_two_words_name_the_set() -> None:
    share = Share.of(typed(SHARES[0]))
    assert words_of_set(share.set_name) == " ".join(SHARES[0].split()[:2])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a share has 33 words, this one has 0"),
        (" ".join(SHARES[0].split()[:-1]), "a share has 33 words, this one has 32"),
        (SHARES[0] + " academic", "a share has 33 words, this one has 34"),
        ("academic " * 500, "a share has 33 words, this one has 114"),
        (SHARES[0].replace(SHARES[0].split()[6], "sottovoce", 1), "word 7 of the share is not on SLIP-39's list"),
        (SHARES[0] + "é", "a letter that no share has"),
    ],
)
def test_what_is_no_share(text: str, reason: str) -> None:
    with pytest.raises(ShareMalformed, match=re.escape(reason)) as raised:
        Share.of(typed(text))
    assert "\n" not in str(raised.value)


@given(place=st.integers(0, WORDS - 1), word=st.sampled_from(WORDLIST), which=st.integers(0, 2))
def test_any_wrong_word_is_a_mistake_and_no_message_repeats_one(place: int, word: str, which: int) -> None:
    words = SHARES[which].split()
    if words[place] == word:
        return
    words[place] = word
    with pytest.raises(ShareCorrupt) as raised:
        Share.of(typed(" ".join(words)))
    said = set(str(raised.value).split())
    assert "the share has a mistake in it" in str(raised.value)
    assert said <= set(str(_mistake()).split())


def _mistake() -> ShareCorrupt:
    """The same text for whatever share: so it can hold none of its words."""
    with pytest.raises(ShareCorrupt) as raised:
        Share.of(typed(" ".join(reversed(SHARES[0].split()))))
    return raised.value


@given(first=st.integers(0, WORDS - 2))
def test_two_neighbours_in_the_wrong_order_are_a_mistake(first: int) -> None:
    words = SHARES[0].split()
    words[first : first + 2] = reversed(words[first : first + 2])
    if words != SHARES[0].split():
        with pytest.raises(ShareCorrupt):
            Share.of(typed(" ".join(words)))


def test_shares_of_two_seals_have_other_values_for_the_same_pin() -> None:
    assert set(made().texts).isdisjoint(made().texts)
