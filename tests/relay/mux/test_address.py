import pytest

from sottovoce.relay.mux import parse_mux_url


@pytest.mark.parametrize(
    ("url", "authority", "is_loopback", "secure"),
    [
        ("tcp://127.0.0.1:9000", "127.0.0.1:9000", True, False),
        ("tcp://[::1]:9000", "[::1]:9000", True, False),
        ("tcp://bot.example:9000", "bot.example:9000", False, False),
        ("tls://bot.example:443", "bot.example:443", False, True),
        ("unix:/run/bot.sock", "unix:/run/bot.sock", True, False),
        ("unix:///run/bot.sock", "unix:/run/bot.sock", True, False),
    ],
)
def test_an_address(url: str, authority: str, *, is_loopback: bool, secure: bool) -> None:
    address = parse_mux_url(url)
    assert (address.authority, address.is_loopback, address.secure) == (authority, is_loopback, secure)


@pytest.mark.parametrize(
    "url",
    [
        "", "ws://127.0.0.1:9000/", "tcp://127.0.0.1", "tcp://127.0.0.1:9000/path", "tcp://:9000", "tcp://a@b:1",
        "tls://bot", "unix:", "unix:bot.sock", "unix://bot.sock", "unix:/a b", "unix:/" + "a" * 107, "unix:/\0",
        "unix:/a\n",
    ],
)  # fmt: skip
def test_what_is_none_says_what_to_write(url: str) -> None:
    with pytest.raises(ValueError, match=r"write|remove|use"):
        parse_mux_url(url)


def test_the_longest_path() -> None:
    assert parse_mux_url("unix:/" + "a" * 106).target == "/" + "a" * 106
