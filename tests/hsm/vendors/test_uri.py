"""RFC 7512: read as the grammar has it, written so that it is read back, and held against tokens."""

import re
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm.vendors import (
    ObjectType,
    Pkcs11Uri,
    TokenFacts,
    UriInvalid,
    parse_token_uri,
    parse_uri,
    selects,
    uri_text,
)

TEXTS = st.none() | st.text(max_size=12)
OTHERS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8).map("x-{}".format)
URIS = st.builds(
    Pkcs11Uri,
    token=TEXTS,
    manufacturer=TEXTS,
    serial=TEXTS,
    model=TEXTS,
    library_manufacturer=TEXTS,
    library_description=TEXTS,
    library_version=st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255)),
    slot_manufacturer=TEXTS,
    slot_description=TEXTS,
    slot_id=st.none() | st.integers(0, 2**64 - 1),
    object=TEXTS,
    type=st.none() | st.sampled_from(ObjectType),
    id=st.none() | st.binary(max_size=8),
    module_name=TEXTS,
    module_path=TEXTS,
    pin_source=TEXTS,
    other_path=st.dictionaries(OTHERS, st.text(max_size=8), max_size=2).map(lambda each: tuple(each.items())),
    other_query=st.lists(st.tuples(OTHERS, st.text(max_size=8)), max_size=3).map(tuple),
)
FACTS = TokenFacts(
    label="voice one",
    manufacturer="SoftHSM project",
    serial="0a37336c5126def4",
    model="SoftHSM v2",
    slot_id=1361501940,
    slot_description="SoftHSM slot ID 0x51270174",
    slot_manufacturer="SoftHSM project",
    library_manufacturer="SoftHSM",
    library_description="Implementation of PKCS11",
    library_version=(2, 6),
)


@given(URIS)
def test_what_is_written_is_read_back(uri: Pkcs11Uri) -> None:
    text = uri_text(uri)
    assert parse_uri(text) == uri
    assert text.isascii()
    assert text.isprintable()


@given(st.text(string.printable, max_size=60).map("pkcs11:{}".format) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        uri = parse_uri(text)
    except UriInvalid:
        return
    assert parse_uri(uri_text(uri)) == uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("pkcs11:", Pkcs11Uri()),
        ("pkcs11:?", Pkcs11Uri()),
        ("PKCS11:token=", Pkcs11Uri(token="")),
        ("pkcs11:object=my-pubkey;type=public", Pkcs11Uri(object="my-pubkey", type=ObjectType.PUBLIC)),
        (
            "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
            Pkcs11Uri(object="my-key", type=ObjectType.PRIVATE, pin_source="file:/etc/token"),
        ),
        ("pkcs11:token=Software%20PKCS%2311%20softtoken", Pkcs11Uri(token="Software PKCS#11 softtoken")),
        ("pkcs11:slot-description=Sun%20Metaslot", Pkcs11Uri(slot_description="Sun Metaslot")),
        ("pkcs11:slot-id=18446744073709551615", Pkcs11Uri(slot_id=2**64 - 1)),
        ("pkcs11:library-version=3", Pkcs11Uri(library_version=(3, 0))),
        ("pkcs11:library-version=2.40", Pkcs11Uri(library_version=(2, 40))),
        ("pkcs11:id=%69%95%3E%5C%F4%BD%EC%91", Pkcs11Uri(id=bytes.fromhex("69953e5cf4bdec91"))),
        ("pkcs11:token=%C3%A9", Pkcs11Uri(token="é")),
        ("pkcs11:token=:[]@!$'()*+,=&", Pkcs11Uri(token=":[]@!$'()*+,=&")),
        ("pkcs11:?module-path=/usr/lib/a?b|c.so", Pkcs11Uri(module_path="/usr/lib/a?b|c.so")),
        (
            "pkcs11:x-color=red?x-a=1&x-a=2",
            Pkcs11Uri(other_path=(("x-color", "red"),), other_query=(("x-a", "1"), ("x-a", "2"))),
        ),
    ],
)
def test_examples(text: str, uri: Pkcs11Uri) -> None:
    """Of RFC 7512 §3 and of its grammar's edges."""
    assert parse_uri(text) == uri


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no PKCS#11 URI; write pkcs11:token=LABEL"),
        ("pkcs11", "is no PKCS#11 URI"),
        ("http://token=a", "is no PKCS#11 URI"),
        ("pkcs11:token", "is no row of NAME=VALUE; write them with ; between two"),
        ("pkcs11:token=a;", "is no row of NAME=VALUE; write them with ; between two"),
        ("pkcs11:token=a?pin-source=b&", "is no row of NAME=VALUE; write them with & between two"),
        ("pkcs11:to ken=a", "is no row of NAME=VALUE"),
        ("pkcs11:token=a;token=b", "token is there twice; remove one"),
        ("pkcs11:x-a=1;x-a=2", "x-a is there twice"),
        ("pkcs11:?pin-source=a&pin-source=b", "pin-source is there twice"),
        ("pkcs11:token=a b", "token has a character that is not allowed"),
        ("pkcs11:token=a#b", "token has a character that is not allowed"),
        ("pkcs11:token=a/b", "token has a character that is not allowed"),
        ("pkcs11:token=é", "token has a character that is not allowed"),
        ("pkcs11:token=%4", "token has a character that is not allowed"),
        ("pkcs11:token=%zz", "token has a character that is not allowed"),
        ("pkcs11:token=%ff", "token is no text in UTF-8"),
        ("pkcs11:slot-id=", "slot-id is no number of a slot"),
        ("pkcs11:slot-id=-1", "slot-id is no number of a slot"),
        ("pkcs11:slot-id=18446744073709551616", "slot-id is no number of a slot"),
        ("pkcs11:slot-id=%31", "slot-id is no number of a slot"),
        ("pkcs11:library-version=2.", "library-version is none"),
        ("pkcs11:library-version=2.256", "library-version is none"),
        ("pkcs11:type=key", "type is none; write one of public, private, cert, secret-key, data"),
        (f"pkcs11:{'n' * 90}=a b", f"{'n' * 32}... has a character that is not allowed"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(UriInvalid, match="^" + re.escape(why)) as refused:
        parse_uri(text)
    assert "; " in str(refused.value)


@pytest.mark.parametrize(
    "text", ["pkcs11:token=a?pin-value=3141592", "pkcs11:token=a?pin_value=3141592 ", "pkcs11:3141592"]
)
def test_no_pin_stands_in_a_uri_or_in_its_refusal(text: str) -> None:
    with pytest.raises(UriInvalid) as refused:
        parse_uri(text)
    assert "3141592" not in str(refused.value)


def test_a_text_that_is_no_unicode_is_not_written() -> None:
    with pytest.raises(UriInvalid, match="no Unicode"):
        uri_text(Pkcs11Uri(token="\ud800"))


def test_a_token_is_selected_by_everything_that_is_said_of_it() -> None:
    whole = Pkcs11Uri(
        token=FACTS.label,
        object="a key in it",
        **{name: getattr(FACTS, name) for name in TokenFacts.__struct_fields__ if name != "label"},
    )
    assert selects(Pkcs11Uri(), FACTS)
    assert selects(whole, FACTS)
    for field in TokenFacts.__struct_fields__:
        value = getattr(FACTS, field)
        other = (9, 9) if field == "library_version" else 0 if field == "slot_id" else value + "x"
        assert not selects(whole, msgspec.structs.replace(FACTS, **{field: other})), field


def test_an_unknown_attribute_selects_nothing() -> None:
    assert not selects(parse_uri("pkcs11:x-color=red"), FACTS)
    assert selects(parse_uri("pkcs11:?x-color=red"), FACTS)


def test_a_configuration_names_a_token() -> None:
    text = "pkcs11:token=voice%20one;serial=0a37?module-path=/usr/lib/a.so&pin-source=env:PIN"
    uri = parse_token_uri(text)
    assert (uri.token, uri.serial, uri.module_path, uri.pin_source) == ("voice one", "0a37", "/usr/lib/a.so", "env:PIN")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pkcs11:", "names no token; add token=LABEL"),
        ("pkcs11:token=", "names no token"),
        ("pkcs11:token=a;object=b", "names an object in a token; remove object, type and id"),
        ("pkcs11:token=a;id=%01", "names an object in a token"),
        ("pkcs11:token=a;type=private", "names an object in a token"),
        ("pkcs11:token=a;x-b=c", "has x-b, which nobody here knows; remove it"),
        ("pkcs11:token=a?x-b=c", "has x-b, which nobody here knows; remove it"),
        ("pkcs11:token=a?module-name=softhsm2", "has module-name, .*; write module-path=PATH"),
        ("pkcs11", "is no PKCS#11 URI"),
    ],
)
def test_and_nothing_else(text: str, why: str) -> None:
    with pytest.raises(UriInvalid, match="^" + why):
        parse_token_uri(text)
