import msgspec
import pytest

from sottovoce.edge import Address, ListenerConfig, ServedRoute, VoiceConfig, parse_address
from sottovoce.primitives import DEFAULT_SUITES, Suite
from sottovoce.relay import RouteConfig, build_route
from sottovoce.session import SessionProfile


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", Address("127.0.0.1", 8443)),
        ("10.0.0.1:0", Address("10.0.0.1", 0)),
        ("[::1]:443", Address("::1", 443)),
        ("[2001:DB8::1]:65535", Address("2001:db8::1", 65535)),
    ],
)
def test_an_address(text: str, address: Address) -> None:
    assert parse_address(text) == address


def test_an_address_is_spelled_as_it_is_read() -> None:
    assert [str(parse_address(text)) for text in ("127.0.0.1:1", "[::1]:2")] == ["127.0.0.1:1", "[::1]:2"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8443",
        ":8443",
        "localhost:8443",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:443",
        "[127.0.0.1]:443",
        "127.0.0.1:٣",
    ],
)
def test_no_address_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="; write "):
        parse_address(text)
    with pytest.raises(ValueError, match=r"^address: "):
        ListenerConfig(address=text)


def test_balancers_are_networks() -> None:
    networks = ListenerConfig(proxy_protocol_from=("10.0.0.0/8", "192.0.2.1", "2001:db8::/32")).balancers
    assert [str(each) for each in networks] == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "balancer", "10.0.0.0/33", "::/129"])
def test_no_network_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy_protocol_from: .*; write an address, or a network"):
        ListenerConfig(proxy_protocol_from=(text,))


def test_the_limits_of_the_gate_are_those_of_the_listener() -> None:
    config = ListenerConfig(
        max_handshakes=1,
        max_handshakes_per_address=2,
        max_handshakes_per_prefix=3,
        max_handshakes_per_second=4,
        max_prefix_handshakes_per_second=5,
        bad_hello_weight=6,
    )
    limits = config.gate_limits
    assert (limits.at_once, limits.address_at_once, limits.prefix_at_once) == (1, 2, 3)
    assert (limits.address_per_second, limits.prefix_per_second, limits.bad_hello_weight) == (4, 5, 6)


def test_suites_need_one_and_each_once() -> None:
    with pytest.raises(ValueError, match=r"^suites: none"):
        VoiceConfig(suites=())
    with pytest.raises(ValueError, match=r"^suites: one is named twice"):
        VoiceConfig(suites=("X25519_AES256GCM", "X25519_AES256GCM"))


ECHO = build_route("echo", RouteConfig(adapter="echo"))


def test_a_session_is_run_by_what_the_section_says() -> None:
    voice = VoiceConfig(
        epoch_seconds=5, messages_per_key=16, padding=0, reauthenticate_every=3, suites=("X25519_AES256GCM",)
    )
    config = voice.session_config(ServedRoute(ECHO), (0, 1))
    assert config.suites == (Suite.X25519_AES256GCM,)
    assert (config.epoch_seconds, config.messages_per_key, config.padding, config.reauthenticate_every) == (5, 16, 0, 3)
    assert config.codecs == tuple(sorted(ECHO.codecs))
    assert config.credential_kinds == (0, 1)
    assert config.require_binding


def test_no_classical_suite_is_served_unless_it_is_named() -> None:
    suites = VoiceConfig().session_config(ServedRoute(ECHO), (0,)).suites
    assert suites == DEFAULT_SUITES
    assert not any(suite.is_classical for suite in suites)


@pytest.mark.protocol("P9.33")
@pytest.mark.parametrize(
    ("profile", "suite", "epoch_seconds", "messages_per_key"),
    [
        ("voice", Suite.X25519MLKEM768_AES256GCM, 300, 1_000),
        ("data", Suite.SECP384R1MLKEM1024_AES256GCM, 3_600, 10_000),
        ("post-quantum", Suite.SECP384R1MLKEM1024_AES256GCM, 1_800, 5_000),
    ],
)
def test_a_route_has_its_profile(profile: str, suite: Suite, epoch_seconds: int, messages_per_key: int) -> None:
    route = msgspec.convert({"adapter": "echo", "profile": profile}, RouteConfig)
    config = VoiceConfig(epoch_seconds=7, padding=0).session_config(ServedRoute.of(ECHO, route), (0,))
    assert (config.suites, config.epoch_seconds, config.messages_per_key) == ((suite,), epoch_seconds, messages_per_key)
    assert (config.padding, config.reauthenticate_every) == (0, 1), "these are no profile's"


def test_what_a_route_says_comes_before_its_profile_and_the_section() -> None:
    route = RouteConfig(
        adapter="echo",
        profile=SessionProfile.DATA,
        suites=("X25519MLKEM768_CHACHA20POLY1305", "X25519MLKEM768_AES256GCM"),
        padding=2,
        origins=("https://a.example",),
    )
    served = ServedRoute.of(ECHO, route)
    config = VoiceConfig().session_config(served, (0,))
    assert config.suites == (Suite.X25519MLKEM768_CHACHA20POLY1305, Suite.X25519MLKEM768_AES256GCM)
    assert (config.epoch_seconds, config.padding) == (3_600, 2)
    assert served.origins == ("https://a.example",)
