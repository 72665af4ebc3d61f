"""Frames by name, and a machine of the proxy whose calls a test holds: what the tests of this folder speak with."""

import json
import struct

from sottovoce.relay import CallSink, CallStart
from sottovoce.relay.mux.leg import MuxLeg
from sottovoce.relay.mux.machine import MuxMachine
from tests.relay.calls import START, RecordingSink

NAMES = {
    0x01: "open", 0x02: "opened", 0x03: "refused",
    0x10: "audio", 0x11: "data", 0x12: "dtmf", 0x13: "mark", 0x14: "clear", 0x15: "json", 0x16: "mute",
    0x20: "stop", 0x21: "error", 0x22: "credit", 0x30: "ping", 0x31: "pong", 0x32: "goaway",
}  # fmt: skip
_KINDS = {name: kind for kind, name in NAMES.items()}
SILENCE_SECONDS = 10.0
Frame = tuple[str, int, bytes]


def frame(name: str | int, call: int, body: bytes = b"") -> bytes:
    """A frame, as docs/backend-mux.md §2 has it."""
    kind = _KINDS[name] if isinstance(name, str) else name
    return struct.pack(">HIB", len(body), call, kind) + body


def credit(call: int, count: int) -> bytes:
    return frame("credit", call, count.to_bytes(4))


def split(data: bytes) -> tuple[list[Frame], bytes]:
    """The whole frames in front, and the rest."""
    frames: list[Frame] = []
    while len(data) >= 7:
        length, call, kind = struct.unpack_from(">HIB", data)
        if len(data) < 7 + length:
            break
        frames.append((NAMES[kind], call, data[7 : 7 + length]))
        data = data[7 + length :]
    return frames, data


def code_of(body: bytes) -> str:
    """The code of a refusal or an error."""
    code = json.loads(body)["code"]
    assert isinstance(code, str)
    return code


class Talk:
    """A machine, on whose connection nothing is lost, and the backend that a test plays."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.wishes = 0
        self.machine = MuxMachine(now, silence_seconds=SILENCE_SECONDS, wants_to_write=self._wish)

    def _wish(self) -> None:
        self.wishes += 1

    def hear(self) -> list[Frame]:
        """What the proxy has to say."""
        frames, rest = split(self.machine.to_send())
        assert not rest
        return frames

    def say(self, *frames: bytes) -> "Talk":
        self.machine.receive(b"".join(frames), self.now)
        return self

    def ask(self, sink: CallSink, start: CallStart = START, queue_frames: int = 5) -> MuxLeg:
        """A call that the backend was asked for."""
        return self.machine.open(start, sink, queue_frames, self.now, lambda: None)

    def call(
        self, sink: CallSink | None = None, start: CallStart = START, *, granted: int = 100, queue_frames: int = 5
    ) -> MuxLeg:
        """A call that goes on, its beginning heard."""
        leg = self.ask(sink or RecordingSink(), start, queue_frames)
        self.say(frame("opened", leg.number))
        assert leg.is_opened
        assert leg.refusal is None
        if granted:
            self.say(credit(leg.number, granted))
        leg.begin()
        self.hear()
        return leg


def down(sink: RecordingSink) -> str:
    """Why a sink's backend is down."""
    ((_, reason),) = sink.named("backend_closed")
    return str(reason)
