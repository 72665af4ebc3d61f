"""From the payload of a control frame to the event that the shell sees.  Frames that move the machine are not here."""

from collections.abc import Callable

from sottovoce.session.events import Clear, Data, Dtmf, Event, Json, Mark, Mute, Pong
from sottovoce.wire import FrameType, frames


def _dtmf(payload: bytes) -> Event:
    return Dtmf(*frames.decode_dtmf_untrusted(payload))


def _pong(payload: bytes) -> Event:
    return Pong(frames.decode_ping_untrusted(payload))


def _json(payload: bytes) -> Event:
    return Json(frames.decode_json_untrusted(payload))


def _mark(payload: bytes) -> Event:
    return Mark(frames.decode_mark_untrusted(payload))


def _clear(payload: bytes) -> Event:
    frames.decode_clear_untrusted(payload)
    return Clear()


def _mute(payload: bytes) -> Event:
    return Mute(frames.decode_mute_untrusted(payload))


def _data(payload: bytes) -> Event:
    return Data(frames.decode_data_untrusted(payload))


_DECODERS: dict[FrameType, Callable[[bytes], Event]] = {
    FrameType.DTMF: _dtmf,
    FrameType.PONG: _pong,
    FrameType.JSON: _json,
    FrameType.MARK: _mark,
    FrameType.CLEAR: _clear,
    FrameType.MUTE: _mute,
    FrameType.DATA: _data,
}


def decode_event_untrusted(kind: FrameType, payload: bytes) -> Event | None:
    """Give the event of a control frame, or None for filling.  Raises WireError."""
    return None if kind is FrameType.COVER else _DECODERS[kind](payload)
