import pytest

from sottovoce.client.address import Address, parse_address
from sottovoce.client.errors import CallMisconfigured


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("wss://voice.example.com/echo", Address("voice.example.com", 443, "voice.example.com", "/v1/voice/echo")),
        ("wss://localhost:8443/echo", Address("localhost", 8443, "localhost:8443", "/v1/voice/echo")),
        ("wss://localhost:8443/v1/voice/echo", Address("localhost", 8443, "localhost:8443", "/v1/voice/echo")),
        ("wss://a.example:443/e?x=%41&y", Address("a.example", 443, "a.example:443", "/v1/voice/e?x=%41&y")),
        ("WSS://Voice.Example.COM:1/Bot", Address("voice.example.com", 1, "voice.example.com:1", "/v1/voice/Bot")),
        ("wss://a.example./e", Address("a.example", 443, "a.example", "/v1/voice/e")),
        ("wss://[::1]:8443/e", Address("::1", 8443, "[::1]:8443", "/v1/voice/e")),
        ("wss://127.0.0.1/e%2Ff", Address("127.0.0.1", 443, "127.0.0.1", "/v1/voice/e%2Ff")),
    ],
)
@pytest.mark.protocol("P1.1", "P4.2", "P4.3")
def test_the_host_in_small_letters_the_port_if_it_was_there_the_target_as_it_is(url: str, address: Address) -> None:
    assert parse_address(url) == address


def test_people_see_host_and_port() -> None:
    assert str(parse_address("wss://a.example/e")) == "a.example:443"
    assert str(parse_address("wss://[::1]:8443/e")) == "[::1]:8443"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ws://localhost/echo", "use wss://"),
        ("https://localhost/echo", "does not begin with wss://"),
        ("localhost:8443/echo", "does not begin with wss://"),
        ("", "empty"),
        ("wss://localhost/ec ho", "space"),
        ("wss://localhost/\techo", "space"),
        ("wss://bücher.example/echo", "xn--"),
        ("wss://localhost/echo#top", "fragment"),
        ("wss:///echo", "no host"),
        ("wss://:8443/echo", "no host"),
        ("wss://./echo", "no host"),
        ("wss://localhost:0/echo", "port 0"),
        ("wss://localhost:99999/echo", "host or port"),
        ("wss://localhost:port/echo", "host or port"),
        ("wss://[::1/echo", "host or port"),
        ("wss://localhost", "path"),
        ("wss://localhost/", "path"),
        ("wss://localhost/v1/voice/", "path"),
        ("wss://localhost/v2/voice/echo", "path"),
        ("wss://localhost/echo/", "path"),
        ("wss://loc!alhost/echo", "DNS name"),
        ("wss://a..b/echo", "DNS name"),
        ("wss://[fe80::1%25eth0]/echo", "DNS name"),
    ],
)
def test_what_is_no_address_is_refused_with_the_remedy(url: str, says: str) -> None:
    with pytest.raises(CallMisconfigured, match=says) as refusal:
        parse_address(url)
    assert refusal.value.remedy


@pytest.mark.parametrize("url", ["wss://user:hunter2@localhost/echo", "wss://hunter2@localhost/echo"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(CallMisconfigured, match="user name or password") as refusal:
        parse_address(url)
    assert "hunter2" not in str(refusal.value)
