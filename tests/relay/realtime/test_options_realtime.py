"""What is asked of a server, what its files become, and what is refused in a configuration."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sottovoce.relay import RealtimeOptions, RouteConfig, RouteMisconfigured, build_route
from sottovoce.relay.realtime import CODECS, authorization_of, session_of
from sottovoce.relay.realtime.options import MAX_SESSION_BYTES
from sottovoce.wire import Codec
from tests.relay.realtime.server import Conversing, starting

FORMAT = {"type": "audio/pcm", "rate": 24_000}
PCM = {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}


def session(given: object, **options: Any) -> dict[str, Any]:
    conversing = Conversing(starting(), RealtimeOptions(**options), json.dumps(given).encode())
    made: dict[str, Any] = conversing.texts[0]["session"]
    return made


def test_a_session_keeps_what_was_given_and_gets_the_formats() -> None:
    given = {
        "instructions": "Be brief.",
        "output_modalities": ["text"],
        "audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}, "output": {"voice": "cedar"}},
    }
    made = session(given)
    assert made["instructions"] == "Be brief."
    assert made["output_modalities"] == ["text"]
    assert made["audio"] == {
        "input": {"format": FORMAT, "turn_detection": None},
        "output": {"format": FORMAT, "voice": "cedar"},
    }


def test_a_session_of_the_beta() -> None:
    assert session({"voice": "alloy"}, dialect="beta") == {"modalities": ["audio", "text"], "voice": "alloy"} | PCM
    assert session(PCM | {"input_audio_format": "g711_ulaw", "modalities": ["audio"]}, dialect="beta") == PCM | {
        "modalities": ["audio"]
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"type": "transcription"}', "another type"),
        (b'{"audio": 5}', "member audio that is no object with input and output"),
        (b'{"audio": {"input": []}}', "member audio that is no object with input and output"),
        (b'{"audio": {"inputs": {}}}', "member audio that is no object with input and output"),
        (b" " * (MAX_SESSION_BYTES + 1), "more than"),
    ],
)
def test_a_session_that_is_none(given: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        session_of(RealtimeOptions(), given)


def test_a_secret_becomes_a_header() -> None:
    assert authorization_of(RealtimeOptions(), b" sk-1\n") == ("Authorization", "Bearer sk-1")
    assert authorization_of(RealtimeOptions(authorization_header="api-key"), b"abc") == ("api-key", "abc")


@pytest.mark.parametrize(
    "secret", [b"", b" \n", b"sk-secret\nX: y", "sk-secret-é".encode(), b"secret" * 1000, b"\0secret"]
)
def test_a_secret_that_is_none_is_not_shown(secret: bytes) -> None:
    with pytest.raises(ValueError, match="one line of visible ASCII") as caught:
        authorization_of(RealtimeOptions(), secret)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 8_000}, "rate: there is none of 8000"),
        ({"authorization_header": "a b"}, "authorization_header: 'a b' is no header"),
        ({"authorization_header": "Host"}, "authorization_header: 'Host' is no header"),
        ({"headers": {"Sec-WebSocket-Key": "x"}}, "headers: 'Sec-WebSocket-Key' is no header"),
        ({"headers": {"Authorization": "Bearer x"}}, "headers: Authorization holds a secret"),
        ({"headers": {"API-Key": "x"}}, "headers: API-Key holds a secret"),
        ({"headers": {"X-Token": "x"}, "authorization_header": "x-token"}, "headers: X-Token holds a secret"),
        ({"headers": {"X-Team": "a\r\nb"}}, "headers: the value of X-Team"),
        ({"headers": {"X-Team": ""}}, "headers: the value of X-Team"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RealtimeOptions(**options)


def test_the_route_offers_what_can_be_converted() -> None:
    route = build_route("model", RouteConfig(adapter="realtime", url="wss://api.example.com/v1/realtime?model=m"))
    assert route.codecs == CODECS
    assert frozenset(Codec) - {Codec.NONE, Codec.OPUS_48K_MONO, Codec.OPUS_48K_STEREO} == CODECS


def test_the_secret_goes_over_tls_or_stays_on_this_machine() -> None:
    options = RealtimeOptions(authorization_file="key.txt")
    RouteConfig(adapter="realtime", url="ws://127.0.0.1:9000/", realtime=options)
    with pytest.raises(ValueError, match=r"would send the secret .* unencrypted"):
        RouteConfig(adapter="realtime", url="ws://10.0.0.1/", realtime=options, allow_plaintext_network=True)


@pytest.mark.parametrize(
    ("options", "content", "key", "words"),
    [
        ({"authorization_file": "gone"}, None, "authorization_file", "write the path of a file"),
        ({"authorization_file": "it"}, b"sk-secret\nsk-secret", "authorization_file", "put the secret"),
        ({"session_file": "gone"}, None, "session_file", "write the path of a JSON file"),
        ({"session_file": "it"}, b"instructions: none", "session_file", "put a JSON object like that"),
    ],
)
def test_files_that_are_refused(
    tmp_path: Path, options: dict[str, Any], content: bytes | None, key: str, words: str
) -> None:
    if content is not None:
        (tmp_path / "it").write_bytes(content)
        (tmp_path / "it").chmod(0o600)
    config = RouteConfig(adapter="realtime", url="ws://127.0.0.1:9000/", realtime=RealtimeOptions(**options))
    with pytest.raises(RouteMisconfigured, match=words) as caught:
        build_route("model", config, directory=tmp_path)
    assert caught.value.path == f"routes.model.realtime.{key}"
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700, 0o600, 0o400])
def test_the_file_of_a_secret_is_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "a key"
    file.write_text("sk-secret\n")
    file.chmod(mode)
    options = RealtimeOptions(authorization_file="a key")
    config = RouteConfig(adapter="realtime", url="ws://127.0.0.1:9000/", realtime=options)
    if mode in {0o700, 0o600, 0o400}:
        build_route("model", config, directory=tmp_path)
        return
    with pytest.raises(RouteMisconfigured, match=rf"a key is open to others \(mode {mode:04o}\)") as caught:
        build_route("model", config, directory=tmp_path)
    assert caught.value.path == "routes.model.realtime.authorization_file"
    assert caught.value.remedy == f"chmod 600 '{file}'"


def test_a_configuration_has_no_place_for_the_secret_itself() -> None:
    with pytest.raises(msgspec.ValidationError, match="authorization"):
        msgspec.convert({"authorization": "sk-secret"}, RealtimeOptions)
