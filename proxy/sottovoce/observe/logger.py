"""Set-up of logging, and the loggers that the shells use.  The only home of structlog.

Lines go to standard error: JSON where a program reads them, aligned text where a person does.  The values of each pass
`fields` first.  A line that cannot be written, because nobody reads standard error any more, is dropped: a call matters
more.  Writing blocks, so no one logs per frame.
"""

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Literal, Protocol, Self, TextIO, cast

import msgspec
import structlog

from sottovoce.observe import events
from sottovoce.observe.fields import Plain, error_trail, plain_fields, printable

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_Event = MutableMapping[str, object]


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[log]`.  `auto` is `console` where standard error is a terminal and `json` elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Logger(Protocol):
    """Writes log events: a name out of `events`, and fields.  `exc_info=error` adds an exception's trail."""

    def debug(self, event: str, /, **fields: object) -> None:
        """Say what helps to find a bug."""

    def info(self, event: str, /, **fields: object) -> None:
        """Say what an operator may want to know."""

    def warning(self, event: str, /, **fields: object) -> None:
        """Say what an operator should look at."""

    def error(self, event: str, /, **fields: object) -> None:
        """Say what does not work."""

    def bind(self, **fields: object) -> Self:
        """Give a logger that adds these fields to each event."""
        ...


def get_logger(name: str) -> Logger:
    """Give the logger of a module.  Before `configure_logging` has run, it writes as the default configuration says."""
    if not structlog.is_configured():
        configure_logging(LogConfig())
    return cast("Logger", structlog.get_logger(name.removeprefix("sottovoce.")))


def configure_logging(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send all log events, ours and the warnings of libraries, to `stream`; without one, to standard error."""
    target = sys.stderr if stream is None else stream
    is_console = config.format == "console" or (config.format == "auto" and target.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _make_plain,
            _console_renderer(is_coloured=_wants_colour(target)) if is_console else _render_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        logger_factory=partial(_LineWriter, stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _LibraryHandler) for handler in root.handlers):
        root.addHandler(_LibraryHandler(logging.WARNING))


def _make_plain(logger: "_LineWriter", _method: str, event: _Event) -> Mapping[str, object]:
    """Order an event's fields and make their values safe to print."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    first = {"time": event.pop("time"), "level": event.pop("level"), "logger": logger.name, "event": event.pop("event")}
    fields = plain_fields({**first, **event})
    if isinstance(error, BaseException):
        fields["exception"] = error_trail(error)
    return fields


def _render_json(_logger: object, _method: str, event: _Event) -> str:
    return msgspec.json.encode(event).decode()


class _Renderer(Protocol):
    def __call__(self, logger: object, method: str, event: _Event, /) -> str: ...


def _console_renderer(*, is_coloured: bool) -> _Renderer:
    """Make a renderer for a terminal: one line an event, an exception's trail below it, no control characters."""
    render = structlog.dev.ConsoleRenderer(colors=is_coloured, pad_event_to=24, timestamp_key="time")

    def render_event(logger: object, method: str, event: _Event) -> str:
        trail = cast("list[dict[str, Plain]]", event.pop("exception", []))
        shown = {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
        lines = [str(render(logger, method, shown))]
        for error in trail:
            lines.append(f"    {printable(str(error['error']))}")
            lines += [f"      at {printable(str(place))}" for place in cast("list[Plain]", error["at"])]
        return "\n".join(lines)

    return render_event


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _LineWriter:
    """Writes finished lines, and drops them where that is impossible."""

    def __init__(self, stream: TextIO | None, name: str) -> None:
        self.name = name
        self._stream = stream

    def write(self, line: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError):  # closed, full, or nobody reads: there is nowhere left to say so
            return

    debug = info = warning = error = critical = write


class _LibraryHandler(logging.Handler):
    """Passes what libraries say through the standard `logging` on as log events.

    Only from warnings on, and only the text before its arguments are put in: the arguments may be anything.
    """

    def emit(self, record: logging.LogRecord) -> None:
        logger = get_logger(record.name)
        say = logger.warning if record.levelno < logging.ERROR else logger.error
        error = record.exc_info[1] if record.exc_info else None
        say(events.LIBRARY_WARNED, text=str(record.msg), exc_info=error)
