"""What a backend hears of a call: its `Start`, the items of `async for item in call`, its end.

match item:
    case Audio(payload=frame): …
    case MarkPlayed(name=name): …
    case Ended(): …            always the last one
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

_Amount = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxy says of a call before anything else (docs/backend-raw.md §3)."""

    session_id: str
    """The audit log and the client know the call by it."""
    route: str
    codec: str
    """What comes: `pcm16`, `pcmu`, `pcma`, `opus`, `opus-stereo`, or `none` in a call without audio."""
    rate: _Amount
    reply_codec: str
    """What has to be sent; often the same, not always."""
    reply_rate: _Amount
    frame_ms: _Amount
    """How long a frame lasts, both ways: 10, 20, 40 or 60; 0 in a call without audio."""
    header: bool = False
    """Whether audio comes with flags, timestamps and the count of lost frames, and may be sent with them."""
    identity: str | None = None
    """The name that the client proved, if the proxy asks for one."""
    suite: str = ""
    epoch: int = 1
    epoch_seconds: int = 0
    client_address: str = ""
    """Where the client called from; never an identity."""
    metadata: Mapping[str, object] | None = None
    """What the client says of itself: nothing in it is verified."""

    @property
    def is_data(self) -> bool:
        """Whether it is a call without audio."""
        return self.codec == "none"

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame as it comes; 0 for Opus, whose frames vary."""
        return self.rate * SAMPLE_BYTES.get(self.codec, 0) * self.frame_ms // 1000

    @property
    def reply_frame_bytes(self) -> int:
        """The most bytes of a frame that is sent; 0 for Opus."""
        return self.reply_rate * SAMPLE_BYTES.get(self.reply_codec, 0) * self.frame_ms // 1000


SAMPLE_BYTES: Mapping[str, int] = {"pcm16": 2, "pcmu": 1, "pcma": 1}
"""Bytes of one sample, in codecs that have samples."""


class Audio(msgspec.Struct, frozen=True):
    """One frame of audio, in the call's codec; empty while the speaker is silent (DTX)."""

    payload: bytes
    talk_spurt: bool = False
    """The first frame after a silence; only with `header`, as the two below."""
    end_of_turn: bool = False
    timestamp: int | None = None
    """In samples of the codec's clock, if the client gave one."""
    lost_before: int = 0
    """Frames that are missing directly before this one: lost on their way, or dropped here as nobody read them."""

    def __repr__(self) -> str:
        return f"Audio({len(self.payload)} bytes)"


class Data(msgspec.Struct, frozen=True):
    """Bytes of a call without audio, as they were sent: at most 8 000."""

    payload: bytes

    def __repr__(self) -> str:
        return f"Data({len(self.payload)} bytes)"


class Dtmf(msgspec.Struct, frozen=True):
    """A key of a telephone: 0–9, 10 for *, 11 for #, 12–15 for A–D (RFC 4733)."""

    event: int
    duration_ms: int


class MarkPlayed(msgspec.Struct, frozen=True):
    """The client has played everything before this mark of `call.mark`."""

    name: str


class Mute(msgspec.Struct, frozen=True):
    """The client's microphone went off or on."""

    muted: bool


class Json(msgspec.Struct, frozen=True):
    """A JSON object from the client's application."""

    value: Mapping[str, object]


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """A call's figures, as the proxy counted them.  Later versions of the contract may have more."""

    seconds: float = 0.0
    epochs: int = 0
    frames_from_client: int = 0
    frames_to_client: int = 0
    frames_lost: int = 0
    frames_dropped_to_client: int = 0
    frames_dropped_to_backend: int = 0
    frames_dropped_from_backend: int = 0


class Ended(msgspec.Struct, frozen=True):
    """The call is over.

    `truncated`: nobody who may say so has said that the call ends, so that audio may be missing.  Where the connection
    to the proxy ended without a word, `statistics` is None and `code` the WebSocket's.
    """

    code: int
    reason: str
    truncated: bool
    statistics: Statistics | None = None


Item = Audio | Data | Dtmf | MarkPlayed | Mute | Json | Ended
