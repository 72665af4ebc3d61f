"""The clients file: what it may say, and that each fault is one line with the entry and the remedy."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.identity import ClientsConfig, ClientsUnusable, read_contents
from sottovoce.identity.clients.file import ClientsFile, parse_clients
from sottovoce.pki import format_public_key, new_private_key
from sottovoce.transport import SystemEntropy
from tests.identity.clients.files import NOW, digest, read, token_entry

KEY = format_public_key(new_private_key("ed25519")[1])
KEY_ENTRY = f'[[client]]\nname = "robot"\npublic_key = "{KEY}"\n'
SMALL_ORDER = "ed25519:" + "A" * 43 + "="


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa_secp384r1_sha384", "mldsa44", "mldsa65", "mldsa87"])
@pytest.mark.protocol("P6.19")
def test_a_key_of_each_algorithm_is_taken(tmp_path: Path, algorithm: str) -> None:
    public = new_private_key(algorithm)[1]  # type: ignore[arg-type]  the parameters are the names
    text = f'[[client]]\nname = "robot"\npublic_key = "{format_public_key(public)}"\n'
    grant = read(tmp_path, text).contents.key_grant(public.encoded)
    assert grant is not None
    assert (grant.identity.name, grant.identity.kind, grant.audience, grant.routes) == ("robot", 2, None, None)
    assert grant.identity.credential.startswith("key:")


def test_dates_are_unix_seconds() -> None:
    dates = ("2027-01-16", "2027-01-15T08:00:01Z", "2027-01-15T10:00:01+02:00")
    entries = [parse_clients(token_entry(more=f"expires = {date}")).client[0] for date in dates]
    assert [entry.expires_at for entry in entries] == [1_800_057_600.0, NOW + 1, NOW + 1]


@pytest.mark.protocol("P4.15")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[client", "it is no TOML (Expected"),
        (b"\xff", "it is not UTF-8 text: write it as TOML"),
        ("other = 1\n", "unknown field `other`: write nothing else in it, each entry is a [[client]] with name"),
        ("client = 1\n", "client: Expected `array`, got `int`: write it right, each entry"),
        ('[[client]]\nname = "a"\n', "client[0] (a) has both or none of token_sha256 and public_key: write one"),
        (KEY_ENTRY + f'token_sha256 = "{digest(b"x")}"\n', "client[0] (robot) has both or none"),
        (token_entry().replace("token_sha256", "token"), "client[0]: Object contains unknown field `token`"),
        (token_entry().replace(digest(b"good"), "good"), "client[0].token_sha256: Expected `str` matching regex"),
        (token_entry().replace(digest(b"good"), digest(b"good").upper()), "client[0].token_sha256: Expected `str`"),
        (
            token_entry().replace(digest(b"good"), digest(b"good") + r"\n"),
            "client[0].token_sha256: Expected `str` match",
        ),
        (token_entry() + token_entry(name="b"), "client[1].token_sha256 (b) is that of client[0] (open) too: write"),
        (KEY_ENTRY + KEY_ENTRY, "client[1].public_key (robot) is that of client[0] (robot) too: write another"),
        (token_entry(name=""), "client[0].name is '': write 1 to 128 printable characters"),
        (token_entry(name=" a"), "client[0].name is ' a': write 1 to 128"),
        (token_entry(name="a" * 129), "write 1 to 128 printable characters"),
        (token_entry(name="a\\u0007"), r"client[0].name is 'a\x07': write"),
        (token_entry().split("audience", maxsplit=1)[0], "client[0] (open) has no audience, so any server could pass"),
        (token_entry().split("audience", maxsplit=1)[0] + "audience = []", "client[0].audience: Expected `array`"),
        (token_entry().replace("Voice", "https://voice"), "client[0] (open): 'https://voice.example.com' is no host"),
        (token_entry(more='routes = ["/v1/voice/echo"]'), "client[0] (open): '/v1/voice/echo' is no host or route"),
        (token_entry(more='routes = ["é"]'), "is no host or route"),
        (token_entry(more="expires = 2027-01-15T08:00:00"), "client[0] (open).expires has no time zone: write it"),
        (token_entry(more='expires = "2027-01-15"'), "client[0] (open).expires is '2027-01-15': write a bare date"),
        (token_entry(more="added = 08:00:00"), "client[0] (open).added is datetime.time(8, 0): write a bare date"),
        (KEY_ENTRY.replace("ed25519", "rsa"), "client[0] (robot).public_key: it is no ALGORITHM:BASE64 with one of"),
        (KEY_ENTRY.replace("ed25519:", ""), "client[0] (robot).public_key: it is no ALGORITHM:BASE64"),
        (KEY_ENTRY.replace("ed25519", "mldsa65"), "after mldsa65: stands no base64 of a public key of that algorithm"),
        (KEY_ENTRY.replace("=", "!", 3), "no TOML"),
        (KEY_ENTRY.replace(KEY, SMALL_ORDER), "after ed25519: stands no base64 of a public key"),
        ('withdrawn = [" x"]\n', "withdrawn[0] is ' x': write a client's name as it stands in logs"),
        ('withdrawn = "x"\n', "withdrawn: Expected `array`"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_entry_and_the_remedy(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    with pytest.raises(ClientsUnusable) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"the clients file {tmp_path / 'clients.toml'}")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.key == "file"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    config = ClientsConfig(file=str(tmp_path / "none.toml"))
    with pytest.raises(ClientsUnusable, match=r"cannot be read \(No such file or directory\): check clients\.file"):
        read_contents(config, lambda: NOW, SystemEntropy())


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "clients.toml").open("wb") as stream:
        stream.truncate(1 << 40)
    config = ClientsConfig(file=str(tmp_path / "clients.toml"))
    with pytest.raises(ClientsUnusable, match="has more than 67108864 bytes: check clients"):
        read_contents(config, lambda: NOW, SystemEntropy())


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        for name in ("file", "jwks_file", "ca_file"):
            config = ClientsConfig(**{name: str(path)})  # pyright: ignore[reportArgumentType]
            with pytest.raises(ClientsUnusable, match=rf"{path} is no file: check clients\.{name}$"):
                read_contents(config, lambda: NOW, SystemEntropy())


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_file_that_is_half_written_is_refused_or_a_whole_number_of_entries(cut: int) -> None:
    whole = "".join(token_entry(str(number).encode(), name=f"c{number}") for number in range(3))
    part = whole[: len(whole) * cut // 8]
    try:
        found = parse_clients(part)
    except ClientsUnusable as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right
    else:
        assert all(entry.audience for entry in found.client)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("name", "client", "audience", "x")), inner),
    max_leaves=8,
)


@given(st.text() | st.builds(lambda head, tail: f"{token_entry()}{head}{KEY_ENTRY}{tail}", st.text(), st.text()))
def test_whatever_it_says_it_is_read_or_refused(text: str) -> None:
    try:
        found = parse_clients(text)
    except ClientsUnusable:
        return
    assert isinstance(found, ClientsFile)
    assert all(entry.grant.identity.name for entry in found.client)


@given(st.dictionaries(st.sampled_from(("name", "token_sha256", "public_key", "audience", "expires")), _values))
def test_whatever_its_entries_are_made_of(fields: dict[str, object]) -> None:
    try:
        text = "[[client]]\n" + "\n".join(
            f"{name} = {msgspec.json.encode(value).decode()}" for name, value in fields.items()
        )
        found = parse_clients(text)
    except ClientsUnusable:
        return
    assert found.client[0].credential


def test_two_tokens_of_one_short_name_are_refused() -> None:
    """By `token:…` one is revoked, so it must not be another one's name too."""
    digests = ("0123456789ab" + "0" * 52, "0123456789ab" + "1" * 52)
    text = "".join(
        f'[[client]]\nname = "c{number}"\ntoken_sha256 = "{each}"\naudience = ["a"]\n'
        for number, each in enumerate(digests)
    )
    with pytest.raises(ClientsUnusable, match=r"client\[1\]\.token_sha256 \(c1\) is that of client\[0\] \(c0\) too"):
        parse_clients(text)
