import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sottovoce.observe import LogConfig, configure_logging, events, get_logger
from sottovoce.primitives import Secret

KEY = bytes(range(0xA0, 0xC0))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _default_afterwards() -> Iterator[None]:
    yield
    configure_logging(LogConfig())


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_program_reads_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging(LogConfig(), stream)
    get_logger("sottovoce.edge.voice").bind(call="7").info(events.SESSION_ENDED, code=100, text="a\nb")
    (line,) = lines(stream)
    assert list(line) == ["time", "level", "logger", "event", "call", "code", "text"]
    assert line | {"time": None} == {
        "time": None,
        "level": "info",
        "logger": "edge.voice",
        "event": "session.ended",
        "call": "7",
        "code": 100,
        "text": "a\nb",
    }
    assert line["time"].endswith("Z")


def test_a_person_reads_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    configure_logging(LogConfig(), stream)
    get_logger("x").warning(events.SESSION_REKEYED, reason="\x1b[2Jbad_record")
    text = stream.getvalue()
    assert "session.rekeyed" in text
    assert "bad_record" in text
    assert "\x1b" not in text


def test_a_terminal_is_coloured_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for terminal, is_coloured in (("xterm", True), ("dumb", False)):
        monkeypatch.setenv("TERM", terminal)
        stream = Terminal()
        configure_logging(LogConfig(), stream)
        get_logger("x").warning(events.SESSION_REKEYED)
        assert ("\x1b[" in stream.getvalue()) is is_coloured


def test_the_format_can_be_chosen() -> None:
    stream = Terminal()
    configure_logging(LogConfig(format="json"), stream)
    get_logger("x").info(events.PROXY_READY)
    assert lines(stream)[0]["event"] == "proxy.ready"
    stream = Terminal()
    configure_logging(LogConfig(format="console"), stream)
    get_logger("x").info(events.PROXY_READY)
    assert not stream.getvalue().startswith("{")


def test_the_level_holds() -> None:
    stream = io.StringIO()
    configure_logging(LogConfig(level="warning"), stream)
    logger = get_logger("x")
    logger.debug(events.PROXY_READY)
    logger.info(events.PROXY_READY)
    logger.warning(events.TOKEN_LOST)
    logger.error(events.AUDIT_FAILED)
    assert [line["event"] for line in lines(stream)] == ["token.lost", "audit.failed"]


def fail(key: bytes) -> None:
    message = f"bad {key.hex()}"
    raise ValueError(message)


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_planted_key_appears_nowhere(style: Any) -> None:
    stream = io.StringIO()
    configure_logging(LogConfig(format=style), stream)
    secret = Secret("epoch key", KEY)
    try:
        fail(KEY)
    except ValueError as error:
        get_logger("x").error(events.TASK_CRASHED, exc_info=error, key=KEY, secret=secret, keys={"a": [KEY]})
        get_logger("x").error(events.TASK_CRASHED, exc_info=True)
        get_logger("x").error(events.TASK_CRASHED, error=error)
    text = stream.getvalue()
    assert "ValueError" in text
    assert f"{__name__}:" in text
    assert "<32 bytes>" in text
    assert "<Secret epoch key, 32 bytes>" in text
    assert KEY[:8].hex() not in text
    assert repr(KEY)[2:20] not in text


def test_exc_info_outside_of_a_handler_adds_nothing() -> None:
    stream = io.StringIO()
    configure_logging(LogConfig(), stream)
    get_logger("x").error(events.TASK_CRASHED, exc_info=True)
    assert "exception" not in lines(stream)[0]


def test_warnings_of_libraries_arrive_without_their_arguments() -> None:
    stream = io.StringIO()
    configure_logging(LogConfig(), stream)
    configure_logging(LogConfig(), stream)
    library = logging.getLogger("websockets.server")
    library.info("not this")
    library.warning("odd frame %s", KEY)
    try:
        fail(KEY)
    except ValueError:
        library.exception("handler failed")
    warned, failed = lines(stream)
    assert warned | {"time": None} == {
        "time": None,
        "level": "warning",
        "logger": "websockets.server",
        "event": "library.warned",
        "text": "odd frame %s",
    }
    assert failed["level"] == "error"
    assert failed["exception"][0]["error"] == "ValueError"


def test_without_set_up_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogConfig())
    get_logger("x").info(events.PROXY_READY)
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "proxy.ready"


def test_a_line_that_nobody_reads_is_dropped() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", buffering=1)
    configure_logging(LogConfig(), stream)
    get_logger("x").error(events.AUDIT_FAILED)
    with pytest.raises(BrokenPipeError):
        stream.close()
    assert stream.closed
    get_logger("x").error(events.AUDIT_FAILED)


def test_configuration_refuses_what_it_does_not_know() -> None:
    assert msgspec.convert({"format": "json", "level": "debug"}, LogConfig) == LogConfig("json", "debug")
    for wrong in ({"format": "xml"}, {"level": "loud"}, {"colour": True}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, LogConfig)
