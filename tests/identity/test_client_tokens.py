"""Client tokens: what a file may say, and how a credential is judged."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.identity import TokenFile, TokenFileInvalid
from sottovoce.session import Identity, ShownCredential
from sottovoce.transport import SystemEntropy
from sottovoce.wire import Code

HOST = b"voice.example.com"
ECHO = b"/v1/voice/echo"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
OPEN = '[[token]]\nname = "open"\nsha256 = "{}"\naudience = ["Voice.example.com", "localhost:8443"]\n'


def digest(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()


def entry(token: bytes = b"good", more: str = "") -> str:
    return OPEN.format(digest(token)) + more + "\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., TokenFile]:
    def read(text: str | bytes, *, require_credential: bool = True, now: float = NOW) -> TokenFile:
        path = tmp_path / "tokens.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return TokenFile.read(path, require_credential=require_credential, wall=lambda: now, entropy=SystemEntropy())

    return read


Read = Callable[..., TokenFile]


def test_a_known_token_gives_its_identity(read: Read) -> None:
    tokens = read(entry())
    assert tokens.check(ShownCredential(1, b"good", HOST, ECHO)) == Identity("open")
    assert tokens.check(ShownCredential(1, b"good", b"VOICE.example.com", ECHO + b"?x=1")) == Identity("open")
    assert tokens.check(ShownCredential(1, b"good", b"localhost:8443", b"/v1/voice/any")) == Identity("open")
    assert len(tokens) == 1


@pytest.mark.parametrize("token", [b"", b"goo", b"good ", b"Good", b"\xff" * 4000, bytes.fromhex(digest(b"good"))])
def test_an_unknown_token_is_refused(read: Read, token: bytes) -> None:
    assert read(entry()).check(ShownCredential(1, token, HOST, ECHO)) is Code.AUTH_FAILED


@pytest.mark.protocol("P4.16")
@pytest.mark.parametrize("authority", [b"", b"voice.example.com:8443", b"localhost", b"x.voice.example.com", b"\xff"])
def test_a_token_of_another_audience_is_refused(read: Read, authority: bytes) -> None:
    assert read(entry()).check(ShownCredential(1, b"good", authority, ECHO)) is Code.AUTH_FAILED


def test_a_route_that_is_not_its_own_is_a_matter_of_policy(read: Read) -> None:
    tokens = read(entry(more='routes = ["echo", "support"]'))
    assert tokens.check(ShownCredential(1, b"good", HOST, ECHO)) == Identity("open")
    assert tokens.check(ShownCredential(1, b"good", HOST, b"/v1/voice/support?a=b")) == Identity("open")
    for path in (b"/v1/voice/other", b"/v1/voice/", b"/v1/voice/echo/", b"/v1/voice/ech%6f", b"echo", b""):
        assert tokens.check(ShownCredential(1, b"good", HOST, path)) is Code.POLICY
    assert tokens.check(ShownCredential(1, b"bad", HOST, b"/v1/voice/other")) is Code.AUTH_FAILED


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        ("2027-01-16", 1_800_057_600.0),
        ("2027-01-15T08:00:01Z", NOW + 1),
        ("2027-01-15T10:00:01+02:00", NOW + 1),
    ],
)
def test_a_token_ends(read: Read, expires: str, seconds: float) -> None:
    text = entry(more=f"expires = {expires}")
    assert read(text).check(ShownCredential(1, b"good", HOST, ECHO)) == Identity("open", seconds)
    assert read(text, now=seconds - 0.1).check(ShownCredential(1, b"good", HOST, ECHO)) == Identity("open", seconds)
    assert read(text, now=seconds).check(ShownCredential(1, b"good", HOST, ECHO)) is Code.AUTH_FAILED


def test_no_credential_is_enough_only_where_the_configuration_says_so(read: Read) -> None:
    assert read(entry()).check(ShownCredential(0, b"", HOST, ECHO)) is Code.AUTH_FAILED
    lenient = read(entry(), require_credential=False)
    assert lenient.check(ShownCredential(0, b"", HOST, ECHO)) == Identity("")
    assert lenient.check(ShownCredential(1, b"bad", HOST, ECHO)) is Code.AUTH_FAILED
    assert (read(entry()).kinds, lenient.kinds, read("").kinds) == ((1,), (0, 1), (1,))


@pytest.mark.parametrize("kind", [2, 3, 255])
def test_other_kinds_are_refused(read: Read, kind: int) -> None:
    assert read(entry(), require_credential=False).check(ShownCredential(kind, b"good", HOST, ECHO)) is Code.AUTH_FAILED


def test_without_a_file_nobody_has_a_name() -> None:
    tokens = TokenFile.without_tokens(wall=lambda: NOW, entropy=SystemEntropy())
    assert tokens.check(ShownCredential(0, b"", HOST, ECHO)) == Identity("")
    assert tokens.check(ShownCredential(1, b"", HOST, ECHO)) is Code.AUTH_FAILED
    assert (tokens.kinds, len(tokens)) == ((0,), 0)


@pytest.mark.protocol("P4.15")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[token", "Expected"),
        (b"\xff", "is not UTF-8 text: write it as TOML"),
        ("other = 1\n", "unknown field `other`: each entry is a [[token]] with name"),
        ("token = 1\n", "token: Expected `array`, got `int`; sha256 is 64"),
        ('[[token]]\nname = "a"\n', "token[0]: Object missing required field `sha256`"),
        (entry().replace("sha256", "token"), "token[0]: Object contains unknown field `token`"),
        (entry().replace(digest(b"good"), "good"), "token[0].sha256: Expected `str` matching regex"),
        (entry().replace(digest(b"good"), digest(b"good").upper()), "token[0].sha256: Expected `str` matching"),
        (entry() + entry(), "token[1].sha256 (open) is there twice: give each client a token of its own"),
        (entry().replace('"open"', '""'), "token[0].name: Expected `str` of length >= 1"),
        (OPEN.format(digest(b"")).split("audience")[0] + "audience = []", "token[0].audience: Expected `array`"),
        (entry().replace("Voice", "https://voice"), "token[0] (open): 'https://voice.example.com' is no host or route"),
        (entry(more='routes = ["/v1/voice/echo"]'), "token[0] (open): '/v1/voice/echo' is no host or route"),
        (entry(more='routes = ["é"]'), "is no host or route"),
        (entry(more="expires = 2027-01-15T08:00:00"), "token[0].expires (open) has no time zone: write it with Z"),
        (entry(more='expires = "2027-01-15"'), "token[0].expires (open) is '2027-01-15': write a bare date, like"),
        (entry(more="expires = 08:00:00"), "write a bare date, like expires = 2027-01-31"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_entry_and_the_remedy(
    read: Read, tmp_path: Path, text: str | bytes, reason: str
) -> None:
    with pytest.raises(TokenFileInvalid) as caught:
        read(text)
    assert str(caught.value).startswith(f"the token file {tmp_path / 'tokens.toml'}")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenFileInvalid, match=r"cannot be read \(No such file or directory\): check identity"):
        TokenFile.read(tmp_path / "none.toml", require_credential=True, wall=lambda: NOW, entropy=SystemEntropy())


def test_the_digests_do_not_order_the_look_up(read: Read) -> None:
    """Two processes with the same file look tokens up under different keys."""
    first, second = read(entry()), read(entry())
    assert set(first._grants) != set(second._grants)
    assert hashlib.sha256(b"good").digest() not in first._grants
