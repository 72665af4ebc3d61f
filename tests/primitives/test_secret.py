"""`Secret`: nothing shows it, nothing copies it, and it can be overwritten."""

import base64
import copy
import json
import pickle
import pprint

import msgspec
import pytest

from sottovoce.primitives import Secret, lend_secret, take_secret, wipe_bytes

PLANTED = bytes(range(0x41, 0x61))


def test_no_form_of_it_shows_its_value() -> None:
    secret = Secret("planted", PLANTED)
    holder = {"a": [secret, (secret,)]}
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>99}", "%s" % secret, "{:s}".format(str(secret))]  # noqa: UP031, UP032  each way there is
    texts += [repr(holder), pprint.pformat(holder)]
    for text in texts:
        assert "<Secret planted, 32 bytes>" in text
        for shape in (PLANTED.decode(), PLANTED.hex(), base64.b64encode(PLANTED).decode()):
            assert shape not in text


def test_it_refuses_to_be_pickled_or_copied() -> None:
    secret = Secret("planted", PLANTED)
    for attempt in (
        lambda: [pickle.dumps(secret, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)],
        lambda: copy.copy(secret),
        lambda: copy.deepcopy({"in": [secret]}),
        secret.__reduce__,
        lambda: secret.__reduce_ex__(2),
        secret.__getstate__,
        lambda: json.dumps(secret),
        lambda: msgspec.json.encode(secret),
        lambda: bytes(secret),  # type: ignore[call-overload]
        lambda: hash(secret),
        lambda: list(secret),  # type: ignore[call-overload]
    ):
        with pytest.raises((TypeError, msgspec.MsgspecError)) as caught:
            attempt()
        assert PLANTED.decode() not in str(caught.value)


def test_wiping_leaves_zeros_and_the_length() -> None:
    secret = Secret("planted", PLANTED)
    buffer = secret.expose()
    assert not secret.is_wiped
    secret.wipe()
    secret.wipe()
    assert secret.is_wiped
    assert (buffer, len(secret)) == (bytearray(32), 32)


def _fails_with(secret: Secret) -> None:
    with secret as lent:
        assert lent is secret
        raise KeyError


def test_a_block_wipes_what_it_lent_whatever_happens() -> None:
    secret = Secret("planted", PLANTED)
    with pytest.raises(KeyError):
        _fails_with(secret)
    assert secret.is_wiped


def test_it_compares_by_value_with_its_like_only() -> None:
    assert Secret("a", PLANTED) == Secret("b", PLANTED)
    assert Secret("a", PLANTED) != Secret("a", PLANTED[:-1])
    assert Secret("a", PLANTED) != PLANTED


def test_taking_overwrites_the_original() -> None:
    original = bytes(bytearray(PLANTED))
    secret = Secret.take("taken", original)
    assert secret.expose() == PLANTED
    assert original == bytes(32), "the layout of bytes objects is not what `wipe_bytes` relies on"
    copied = secret.copy_for_sealing()
    wipe_bytes(copied)
    assert (copied, secret.expose()) == (bytes(32), PLANTED)


@pytest.mark.parametrize("shared", [b"", b"\x07"])
def test_objects_that_everybody_shares_are_left_alone(shared: bytes) -> None:
    before = bytes(bytearray(shared))
    wipe_bytes(shared)
    assert shared == before


def test_a_blank_one_is_zeros_to_be_written_into() -> None:
    secret = Secret.blank("blank", 5)
    assert secret.is_wiped
    secret.expose()[:] = b"value"
    assert not secret.is_wiped


def test_an_encoder_is_lent_the_live_buffer_and_a_decoders_bytes_are_overwritten() -> None:
    secret = Secret("key", b"\x01\x02\x03")
    assert lend_secret(secret) is secret.expose()
    decoded = bytes(bytearray(b"\x04\x05\x06"))
    assert take_secret(Secret, decoded) == Secret("key", b"\x04\x05\x06")
    assert decoded == bytes(3)


@pytest.mark.parametrize("value", ["text", 7, None, bytearray(b"ab")])
def test_the_hooks_know_nothing_but_secrets(value: object) -> None:
    with pytest.raises(NotImplementedError):
        lend_secret(value)
    with pytest.raises(NotImplementedError):
        take_secret(Secret, value)
    with pytest.raises(NotImplementedError):
        take_secret(int, b"\x01\x02")
