"""A route's table: what is accepted, and refusals that name the key and the remedy."""

import msgspec
import pytest

from sottovoce.relay import RouteConfig
from sottovoce.relay.config import ADAPTER_NAMES


def parse(text: str) -> RouteConfig:
    return msgspec.toml.decode(text, type=RouteConfig)


@pytest.mark.parametrize(
    "text",
    [
        'adapter = "echo"',
        'adapter = "raw"\nurl = "ws://127.0.0.1:9000/"',
        'adapter = "raw"\nurl = "ws://[::1]:9000/"\nraw.header = true',
        'adapter = "raw"\nurl = "ws://10.0.0.1/"\nallow_plaintext_network = true',
        'adapter = "raw"\nurl = "wss://bot.example/"\nca_file = "ca.pem"',
        'adapter = "raw"\nurl = "wss://bot.example/"\nclient_certificate_file = "c.pem"\nclient_key_file = "k.pem"',
        'adapter = "raw"\nurl = "ws://localhost/"\nconnect_timeout_seconds = 1\nconnect_attempts = 1\nqueue_frames = 1',
        'adapter = "echo"\norigins = ["https://app.example.com", "http://localhost:3000", "http://[::1]:3000", "null"]',
        'adapter = "echo"\nidentities = ["alice", "kiosk-*", "*@example.com", "*"]',
        'adapter = "echo"\nprofile = "post-quantum"\npadding = 2\nsuites = ["X25519_AES256GCM"]',
    ],
)
def test_accepted(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ('adapter = "rwa"', "adapter: ", "write one of echo, raw"),
        ('adapter = "echo"\nurl = "ws://localhost/"', "url: ", "remove url"),
        ('adapter = "raw"', "url: ", 'write url = "ws://'),
        ('adapter = "raw"\nurl = "http://localhost/"', "url: 'http://localhost/' ", "write ws://"),
        ('adapter = "raw"\nurl = "ws://u:secret@localhost/"', "url: it holds a user name", "use a client certificate"),
        ('adapter = "raw"\nurl = "ws://10.0.0.1/?k=secret"', "url: 'ws://10.0.0.1/' would", "write a wss:// url"),
        ('adapter = "raw"\nurl = "ws://10.0.0.1/"', "url: ", "write a wss:// url, or allow_plaintext_network = true"),
        ('adapter = "raw"\nurl = "ws://localhost/"\nca_file = "ca.pem"', "ca_file: ", "write a wss:// url"),
        (
            'adapter = "raw"\nurl = "wss://b.example/"\nclient_key_file = "k"',
            "client_certificate_file: ",
            "remove both",
        ),
        (
            'adapter = "raw"\nurl = "wss://b.example/"\nclient_certificate_file = "c"',
            "client_key_file: ",
            "add client_key",
        ),
        ('adapter = "echo"\nqueue_frames = 0', "", r"queue_frames"),
        ('adapter = "echo"\nspeed = 1', "", "speed"),
        ('adapter = "echo"\norigins = ["https://app.example.com/"]', "origins: ", "write scheme and host alone"),
        ('adapter = "echo"\norigins = ["app.example.com"]', "origins: ", "write scheme and host alone"),
        ('adapter = "echo"\norigins = ["https://App.example.com"]', "origins: ", "write scheme and host alone"),
        ('adapter = "echo"\nidentities = [""]', "identities: ", "write a name"),
        ('adapter = "echo"\nidentities = ["a*b"]', "identities: ", "write a name"),
        ('adapter = "echo"\nidentities = ["*a*"]', "identities: ", "write a name"),
        ('adapter = "echo"\nsuites = ["X25519_AES256GCM", "X25519_AES256GCM"]', "suites: ", "name each once"),
        ('adapter = "echo"\nprofile = "quick"', "", "profile"),
        ('adapter = "echo"\npadding = 3', "", "padding"),
    ],
)
def test_refused_with_key_and_remedy(text: str, key: str, remedy: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=remedy) as caught:
        parse(text)
    assert str(caught.value).startswith(key)


def test_the_schema_lists_the_adapters() -> None:
    schema = msgspec.json.schema(RouteConfig)
    assert schema["$defs"]["RouteConfig"]["properties"]["adapter"]["enum"] == list(ADAPTER_NAMES)


@pytest.mark.parametrize(
    ("name", "identities", "may"),
    [
        ("alice", (), True),
        ("", (), True),
        ("alice", ("alice",), True),
        ("alice", ("bob", "alice"), True),
        ("Alice", ("alice",), False),
        ("alice2", ("alice",), False),
        ("", ("alice",), False),
        ("", ("*",), False),
        ("anybody", ("*",), True),
        ("kiosk-7", ("kiosk-*",), True),
        ("kiosk-", ("kiosk-*",), True),
        ("my-kiosk-7", ("kiosk-*",), False),
        ("a@example.com", ("*@example.com",), True),
        ("a@example.com.org", ("*@example.com",), False),
    ],
)
def test_whom_a_route_is_for(name: str, identities: tuple[str, ...], *, may: bool) -> None:
    assert RouteConfig(adapter="echo", identities=identities).is_for(name) is may
