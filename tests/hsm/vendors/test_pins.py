"""Where a PIN may come from, and which PINs are not worth a try."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm.vendors import (
    PROFILES,
    PinForm,
    PinPlace,
    PinRule,
    PinSource,
    PinSourceInvalid,
    Vendor,
    fault_of_pin,
    parse_pin_source,
)


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("secrets/pin", PinPlace.FILE, "secrets/pin"),
        ("/etc/a:b", PinPlace.FILE, "/etc/a:b"),
        ("//a", PinPlace.FILE, "//a"),
        ("file:secrets/pin", PinPlace.FILE, "secrets/pin"),
        ("file:/etc/pin", PinPlace.FILE, "/etc/pin"),
        ("file:///etc/pin", PinPlace.FILE, "/etc/pin"),
        ("file://localhost/etc/pin", PinPlace.FILE, "/etc/pin"),
        ("env:SOTTOVOCE_PIN", PinPlace.ENVIRONMENT, "SOTTOVOCE_PIN"),
        ("env:_a1", PinPlace.ENVIRONMENT, "_a1"),
        ("fd:3", PinPlace.DESCRIPTOR, "3"),
        ("fd:0010", PinPlace.DESCRIPTOR, "10"),
        ("fd:1023", PinPlace.DESCRIPTOR, "1023"),
    ],
)
def test_sources(text: str, place: PinPlace, name: str) -> None:
    source = parse_pin_source(text)
    assert source == PinSource(place, name)
    assert parse_pin_source(str(source)) == source


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "says not where the PIN is; write file:PATH, env:NAME or fd:NUMBER"),
        ("a\0b", "says not where the PIN is"),
        ("pin:31415", "says not where the PIN is"),
        ("data:31415", "says not where the PIN is"),
        ("|/usr/bin/31415", "names a program that would tell the PIN to whoever starts it; write file:PATH"),
        ("file:", "names no file of this machine"),
        ("file:a\0b", "names no file of this machine"),
        ("file://31415/etc/pin", "names no file of this machine"),
        ("env:", "names no environment variable"),
        ("env:31415", "names no environment variable"),
        ("env:A=31415", "names no environment variable"),
        (f"env:{'A' * 129}", "names no environment variable"),
        ("fd:", "names no descriptor from 3 to 1023"),
        ("fd:0", "names no descriptor from 3 to 1023"),
        ("fd:2", "names no descriptor from 3 to 1023"),
        ("fd:1024", "names no descriptor from 3 to 1023"),
        ("fd:31415", "names no descriptor from 3 to 1023"),
        ("fd:-3", "names no descriptor from 3 to 1023"),
        ("fd:٣", "names no descriptor from 3 to 1023"),
    ],
)
def test_what_is_no_source(text: str, why: str) -> None:
    """The text may be the PIN itself, so a refusal does not repeat it."""
    with pytest.raises(PinSourceInvalid, match="^" + re.escape(why)) as refused:
        parse_pin_source(text)
    assert "31415" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_a_source_or_refused(text: str) -> None:
    try:
        source = parse_pin_source(text)
    except PinSourceInvalid:
        return
    assert parse_pin_source(str(source)) == source


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        (PinForm.PLAIN, [b"1234", b"a:b", b""], []),
        (PinForm.USER_AND_PASSWORD, [b"u:p", b"CryptoUser:a:b"], [b"", b"password", b":p", b"u:", b":"]),
        (
            PinForm.AUTHENTICATION_KEY_AND_PASSWORD,
            [b"0001password", b"BeeFpw"],
            [b"", b"password", b"1:pw", b"000gpassword"],
        ),
    ],
)
def test_forms(form: PinForm, right: list[bytes], wrong: list[bytes]) -> None:
    rule = PinRule(form)
    assert [fault_of_pin(rule, bytearray(pin)) for pin in right] == [None] * len(right)
    assert {fault_of_pin(rule, bytearray(pin)) for pin in wrong} <= {f"is not of the form {form}"}


@given(st.sampled_from(Vendor), st.binary(max_size=600))
def test_a_fault_shows_nothing_of_the_pin(vendor: Vendor, pin: bytes) -> None:
    rule = PROFILES[vendor].pin.value
    fault = fault_of_pin(rule, bytearray(pin))
    assert fault in {
        None,
        f"is not of the form {rule.form}",
        f"has not from {rule.min_bytes} to {rule.max_bytes} bytes",
    }
    if not rule.min_bytes <= len(pin) <= rule.max_bytes:
        assert fault


def test_lengths() -> None:
    softhsm, yubihsm = PROFILES[Vendor.SOFTHSM].pin.value, PROFILES[Vendor.YUBIHSM].pin.value
    assert [bool(fault_of_pin(softhsm, bytearray(n))) for n in (3, 4, 255, 256)] == [True, False, False, True]
    assert fault_of_pin(yubihsm, bytearray(b"0001passwor")) == "has not from 12 to 68 bytes"
    assert fault_of_pin(yubihsm, bytearray(b"0001password")) is None
