"""From configuration to a route: what is built, what is warned of, and refusals that name path, reason and remedy."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sottovoce.relay import Route, RouteConfig, RouteMisconfigured, build_route
from sottovoce.relay.config import ADAPTER_NAMES
from sottovoce.relay.echo import EchoRoute
from sottovoce.relay.route import ADAPTERS
from sottovoce.wire import Codec
from tests.transport.certificates import authority, leaf, pem_of


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """PEM files, good and bad."""
    certificate, key = pem_of(leaf())
    _, other_key = pem_of(authority().issue("other"))
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    for name, data in {
        "ca.pem": authority().pem,
        "cert.pem": certificate,
        "key.pem": key,
        "other-key.pem": other_key,
        "locked-key.pem": locked,
        "empty.pem": b"",
        "nonsense.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a-directory").mkdir()
    return tmp_path


def build(directory: Path, **fields: Any) -> Route:
    return build_route("support", RouteConfig(adapter="raw", **fields), directory=directory)


def test_each_adapter_name_has_a_builder() -> None:
    assert set(ADAPTERS) == set(ADAPTER_NAMES)


def test_echo() -> None:
    route = build_route("echo", RouteConfig(adapter="echo"))
    assert isinstance(route, EchoRoute)
    assert (route.name, route.codecs, route.warnings, route.plaintext_network) == ("echo", frozenset(Codec), (), False)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "ws://127.0.0.1:9000/"},
        {"url": "ws://localhost:9000/", "allow_plaintext_network": True},
        {"url": "wss://bot.example/"},
        {"url": "wss://[2001:db8::1]/", "ca_file": "ca.pem"},
        {"url": "wss://bot.example/", "ca_file": "ca.pem", "allow_plaintext_network": True},
        {"url": "wss://bot.example/", "client_certificate_file": "cert.pem", "client_key_file": "key.pem"},
    ],
)
def test_a_route_that_keeps_audio_inside(directory: Path, fields: dict[str, Any]) -> None:
    route = build(directory, **fields)
    assert (route.name, route.codecs, route.warnings, route.plaintext_network) == (
        "support",
        frozenset(Codec),
        (),
        False,
    )


def test_plaintext_over_a_network_is_warned_of(directory: Path) -> None:
    route = build(directory, url="ws://10.0.0.1:9000/x", allow_plaintext_network=True)
    assert route.plaintext_network
    (warning,) = route.warnings
    assert warning.startswith("routes.support.allow_plaintext_network: ")
    assert "10.0.0.1:9000" in warning
    assert warning.endswith("use wss:// instead")


def test_paths_may_be_absolute(directory: Path) -> None:
    build(Path("/nowhere"), url="wss://bot.example/", ca_file=str(directory / "ca.pem"))


PAIR = {"client_certificate_file": "cert.pem", "client_key_file": "key.pem"}


@pytest.mark.parametrize(
    ("fields", "key", "words"),
    [
        ({"ca_file": "missing.pem"}, "ca_file", "missing.pem: No such file"),
        ({"ca_file": "a-directory"}, "ca_file", "a-directory: Is a directory"),
        ({"ca_file": "nul\0.pem"}, "ca_file", "write the path of a PEM file"),
        ({"ca_file": "two\nlines.pem"}, "ca_file", "two?lines.pem"),
        ({"ca_file": "empty.pem"}, "ca_file", "put the PEM certificate of the backend's CA into empty.pem"),
        ({"ca_file": "nonsense.pem"}, "ca_file", "into nonsense.pem"),
        ({"ca_file": "key.pem"}, "ca_file", "into key.pem"),
        (PAIR | {"client_certificate_file": "gone.pem"}, "client_certificate_file", "gone.pem: No such file"),
        (PAIR | {"client_key_file": "gone.pem"}, "client_key_file", "gone.pem: No such file"),
        (PAIR | {"client_certificate_file": "empty.pem"}, "client_certificate_file", "mend empty.pem or key.pem"),
        (PAIR | {"client_key_file": "empty.pem"}, "client_certificate_file", "private key cannot be read"),
        (PAIR | {"client_key_file": "locked-key.pem"}, "client_certificate_file", "unencrypted"),
        (PAIR | {"client_key_file": "other-key.pem"}, "client_certificate_file", "does not belong"),
    ],
)
def test_refusals_name_path_reason_and_remedy(directory: Path, fields: dict[str, str], key: str, words: str) -> None:
    with pytest.raises(RouteMisconfigured) as caught:
        build(directory, url="wss://bot.example/", **fields)
    text = str(caught.value)
    assert caught.value.path == f"routes.support.{key}"
    assert text.startswith(f"routes.support.{key}: ")
    assert text.endswith(f"; {caught.value.remedy}")
    assert words in text
    assert "\n" not in text
    assert "PRIVATE" not in text
