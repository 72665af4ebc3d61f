"""What the user of a call says, and what becomes of it: sealed at once, put into a slot, or not now."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

import msgspec

from sottovoce.client.channel import Channel
from sottovoce.client.tally import Tally
from sottovoce.primitives import ApiMisuse
from sottovoce.session import ClientConfig, ClientSession, events
from sottovoce.wire import Codec, frames


class Saying(ABC):
    """The part of a call's machine that speaks.

    False everywhere: not now, as keys are due to be renewed, or too much was said, or under padding class 2 no slot is
    free; or never more.
    """

    _channel: Channel
    _tally: Tally

    def __init__(self, config: ClientConfig) -> None:
        self._session: ClientSession | None = None
        self._is_data = config.send_codec is Codec.NONE
        self._frame_bytes = config.send_codec.frame_bytes(config.frame_milliseconds)
        self._is_leaving = False
        """The user has hung up; what had been said before still waits for its slots."""

    @abstractmethod
    def _settle(self, session: ClientSession, happened: Iterable[events.Event], now: float) -> None:
        """After each call of the session: pass on what it tells, and what it has to send."""

    def may_send(self, now: float) -> bool:
        """Whether audio can be sealed now."""
        return self._session is not None and self._session.may_send(now)

    def send_audio(
        self,
        frame: bytes,
        now: float,
        *,
        talk_spurt: bool = False,
        end_of_turn: bool = False,
        timestamp: int | None = None,
    ) -> bool:
        """Seal one frame of the call's codec, or an empty one for silence.  Raises ApiMisuse for what is no frame."""
        session = self._session
        if self._is_data:
            raise ApiMisuse("audio in a call without audio: send_data is for its bytes")
        if session is None or self._is_leaving:
            return False
        if self._frame_bytes and len(frame) > self._frame_bytes:
            raise ApiMisuse(f"a frame of this call has {self._frame_bytes} bytes, not {len(frame)}: send one at a time")
        flags = frames.FLAG_TALK_SPURT * talk_spurt | frames.FLAG_END_OF_TURN * end_of_turn
        if session.slot_milliseconds:
            return self._put_audio(session, frame, now, flags, timestamp)
        record = session.seal_audio(frame, now, flags=flags, timestamp=timestamp)
        if record is None:
            self._settle(session, session.on_deadline(now), now)  # this machine may have slept past a deadline
            return False
        self._channel.send(record)
        self._tally.sent += 1
        self._tally.keys(session)
        return True

    def _put_audio(self, session: ClientSession, frame: bytes, now: float, flags: int, timestamp: int | None) -> bool:
        """Have a frame wait for its slot; one waits at a time, so that voice is never late by more than that."""
        was_put = session.send_audio(frame, now, flags=flags, timestamp=timestamp)
        self._tally.sent += was_put
        self._tally.too_large = session.oversize_frames
        self._settle(session, () if was_put else session.on_deadline(now), now)
        return was_put

    def send_data(self, data: bytes, now: float) -> bool:
        """Send bytes in a call without audio.  Raises ApiMisuse in one with, or if they are too many."""
        if not self._is_data:
            raise ApiMisuse("data in a call with audio: make one with codec=Codec.NONE for it")
        return self._say(lambda session: session.send_data(data, now), now)

    def send_dtmf(self, event: int, duration_ms: int, now: float) -> bool:
        """Say that a telephone key was pressed.  Raises ApiMisuse for one that there is not."""
        return self._say(lambda session: session.send_dtmf(event, duration_ms, now), now)

    def send_json(self, value: Mapping[str, object], now: float) -> bool:
        """Send a JSON object to the application at the other end.  Raises ApiMisuse for what is none, or too long."""
        try:
            encoded = msgspec.json.encode(dict(value))
        except (TypeError, ValueError, RecursionError):
            raise ApiMisuse("json: this is no JSON object") from None
        return self._say(lambda session: session.send_json(encoded, now), now)

    def send_mute(self, now: float, *, muted: bool) -> bool:
        """Say that the microphone went off or on."""
        return self._say(lambda session: session.send_mute(now, muted=muted), now)

    def send_mark(self, name: str, now: float) -> bool:
        """Say that the audio before a `Mark` has been played."""
        return self._say(lambda session: session.send_mark(name, now), now)

    def _say(self, send: Callable[[ClientSession], bool], now: float) -> bool:
        if self._session is None or self._is_leaving:
            return False
        was_sent = send(self._session)
        self._settle(self._session, (), now)
        return was_sent
