"""The names of keys and of their kinds, and the known answers by which a mechanism's number is believed."""

from cryptography.hazmat.primitives import keywrap
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm import KeyName
from sottovoce.hsm.kinds import KEY_PREFIX, KeyKind, KeyUse, WrapMechanism, is_key_label
from sottovoce.hsm.process.keys import wrapping


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True))
def test_a_label_is_a_prefix_and_a_name(name: str) -> None:
    assert is_key_label(KEY_PREFIX + name)
    assert not is_key_label(name)
    assert not is_key_label(f"{KEY_PREFIX}{name}\n")


@given(st.text(max_size=8) | st.sampled_from(list(KeyName)).flatmap(lambda name: st.text().map(lambda t: name + t)))
def test_whatever_else_is_none(text: str) -> None:
    assert not is_key_label(text)


def test_each_kind_has_one_use_and_only_secret_ones_a_length() -> None:
    assert {kind.use for kind in KeyKind} == set(KeyUse)
    assert all(bool(kind.value_bytes) is kind.is_secret for kind in KeyKind)


def test_the_known_answers_are_those_of_another_implementation() -> None:
    known = (wrapping._KNOWN_WRAPPING, wrapping._KNOWN_KEY)
    assert {
        WrapMechanism.AES_KW: keywrap.aes_key_wrap(*known),
        WrapMechanism.AES_KWP: keywrap.aes_key_wrap_with_padding(*known),
    } == wrapping._KNOWN
