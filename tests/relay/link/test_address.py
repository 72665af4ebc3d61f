"""Backend URLs: what they mean, and the refusals, each of which says what to write instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.relay.link import TCP, BackendAddress, is_loopback_ip, parse_url


def at(host: str, port: int, target: str, scheme: str = "ws") -> BackendAddress:
    return BackendAddress(scheme=scheme, host=host, port=port, target=target)


@pytest.mark.parametrize(
    ("url", "address", "authority"),
    [
        ("ws://127.0.0.1:9000", at("127.0.0.1", 9000, "/"), "127.0.0.1:9000"),
        ("ws://[::1]:9000/a?b=c", at("::1", 9000, "/a?b=c"), "[::1]:9000"),
        ("wss://Bot.Example.com/x%20y", at("bot.example.com", 443, "/x%20y", "wss"), "bot.example.com"),
        ("wss://bot.example.com:80/?q", at("bot.example.com", 80, "/?q", "wss"), "bot.example.com:80"),
        ("ws://localhost", at("localhost", 80, "/"), "localhost"),
    ],
)
def test_a_url_taken_apart(url: str, address: BackendAddress, authority: str) -> None:
    assert parse_url(url) == address
    assert parse_url(url).authority == authority


@pytest.mark.parametrize(
    ("url", "secure", "authority"),
    [
        ("tcp://127.0.0.1:9092", False, "127.0.0.1:9092"),
        ("tcp://[::1]:9092/", False, "[::1]:9092"),
        ("tls://bot.example.com:443", True, "bot.example.com:443"),
    ],
)
def test_a_url_without_a_path(url: str, *, secure: bool, authority: str) -> None:
    address = parse_url(url, TCP)
    assert (address.secure, address.authority, address.target) == (secure, authority, "")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("ws://localhost:9092", "write tcp://HOST:PORT or tls://HOST:PORT$"),
        ("tcp://localhost", "write the port"),
        ("tls://localhost", "write the port"),
        ("tcp://localhost:9092/call", "remove what follows the port"),
        ("tcp://localhost:9092?uuid=1", "remove what follows the port"),
        ("tcp://user:word@localhost:9092", "use a client certificate"),
    ],
)
def test_a_tcp_url_that_is_refused(url: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        parse_url(url, TCP)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://localhost/", "write ws://"),
        ("localhost:9000", "write ws://"),
        ("ws://", "write ws://"),
        ("ws://[::1/", "write ws://"),
        ("ws://localhost:99999/", "write ws://"),
        ("ws://localhost:0/", "write the port"),
        ("ws://user:word@localhost/", "use a client certificate"),
        ("ws://localhost/#here", "remove the #"),
        ("ws://localhost/\r\nX: y", "percent-encode"),
        ("ws://exa$mple/", "write a DNS name"),
        ("ws://[fe80::1%25eth0]/", "write a DNS name"),
        ("ws://bücher.example/", "punycode"),
        ("", "percent-encode"),
    ],
)
def test_a_refused_url_says_what_to_write(url: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        parse_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    assert is_loopback_ip(host)
    assert at(host, 80, "/").is_loopback


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "::", "2001:db8::1", "::ffff:10.0.0.1", "localhost.example"])  # noqa: S104
def test_not_loopback(host: str) -> None:
    assert not is_loopback_ip(host)
    assert not at(host, 80, "/").is_loopback


@given(st.text(max_size=60) | st.text(max_size=40).map("ws://{}".format))
def test_any_text_is_an_address_or_a_value_error(url: str) -> None:
    try:
        address = parse_url(url)
    except ValueError:
        return
    assert address.host
    assert address.target.startswith("/")
    assert 0 < address.port < 65536
