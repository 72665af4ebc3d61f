import pytest

from sottovoce.edge import Address, ListenerConfig, VoiceConfig, parse_address
from sottovoce.primitives import DEFAULT_SUITES, Suite
from sottovoce.wire import Codec


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


def test_suites_need_one_and_each_once() -> None:
    with pytest.raises(ValueError, match=r"^suites: none"):
        VoiceConfig(suites=())
    with pytest.raises(ValueError, match=r"^suites: one is named twice"):
        VoiceConfig(suites=("X25519_AES256GCM", "X25519_AES256GCM"))


def test_a_session_is_run_by_what_the_section_says() -> None:
    voice = VoiceConfig(
        epoch_seconds=5, messages_per_key=16, padding=0, reauthenticate_every=3, suites=("X25519_AES256GCM",)
    )
    config = voice.session_config(frozenset({Codec.PCMU_8K, Codec.PCM16_8K}), (0, 1))
    assert config.suites == (Suite.X25519_AES256GCM,)
    assert (config.epoch_seconds, config.messages_per_key, config.padding, config.reauthenticate_every) == (5, 16, 0, 3)
    assert config.codecs == (Codec.PCM16_8K, Codec.PCMU_8K)
    assert config.credential_kinds == (0, 1)
    assert config.require_binding


def test_no_classical_suite_is_served_unless_it_is_named() -> None:
    suites = VoiceConfig().session_config(frozenset(Codec), (0,)).suites
    assert suites == DEFAULT_SUITES
    assert not any(suite.is_classical for suite in suites)
