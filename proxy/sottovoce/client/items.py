"""What a call hands to its user: the items of `async for item in call`, for a `match`, and its figures.

match item:
    case Audio(payload=frame): play(frame)
    case Mark(name=name): await call.mark_played(name)
    case Clear(): drop_what_is_queued()
    case Ended(): …            always the last one
"""

from collections.abc import Mapping

import msgspec

from sottovoce.session import events
from sottovoce.wire import code_label


class Audio(msgspec.Struct, frozen=True):
    """One frame of audio in the call's codec; empty while the speaker is silent (DTX)."""

    payload: bytes
    talk_spurt: bool = False
    """The first frame after a silence."""
    end_of_turn: bool = False
    timestamp: int | None = None
    """In samples of the codec's clock, if the sender gave one."""
    lost_before: int = 0
    """How many frames directly before this one were dropped here, because nobody read them in time."""

    def __repr__(self) -> str:
        lost = f", {self.lost_before} lost before" if self.lost_before else ""
        return f"Audio({len(self.payload)} bytes{lost})"


class Mark(msgspec.Struct, frozen=True):
    """Call `mark_played` with this name once all audio that came before it has been played."""

    name: str


class Clear(msgspec.Struct, frozen=True):
    """Drop the audio that is queued for playing: somebody speaks over it."""


class Dtmf(msgspec.Struct, frozen=True):
    """A key of a telephone: 0–9, 10 for *, 11 for #, 12–15 for A–D (RFC 4733)."""

    event: int
    duration_ms: int


class Mute(msgspec.Struct, frozen=True):
    """A microphone went off or on.  Only clients send it today, so that a client does not meet it."""

    muted: bool


class Json(msgspec.Struct, frozen=True):
    """A JSON object from the application at the other end."""

    value: Mapping[str, object]


class Data(msgspec.Struct, frozen=True):
    """Bytes of a call without audio (codec 0), as they were sent: at most 8 000."""

    payload: bytes

    def __repr__(self) -> str:
        return f"Data({len(self.payload)} bytes)"


class Ended(msgspec.Struct, frozen=True):
    """The call is over.

    `local`: this side ended it.  `truncated`: the connection ended and nobody had said that the call does, so audio may
    be missing; `code` is then an unproven hint.
    """

    code: int
    reason: str
    truncated: bool
    local: bool

    @property
    def label(self) -> str:
        """The code's name, as `normal` or `backend_down`; a number that this version does not know stays one."""
        return code_label(self.code)


Item = Audio | Mark | Clear | Dtmf | Mute | Json | Data | Ended


def item_of(event: events.Event) -> Item | None:
    """Give the item of something that the peer said beside audio; None for what a user is not told."""
    match event:
        case events.Mark(name=name):
            return Mark(name)
        case events.Clear():
            return Clear()
        case events.Dtmf(event=key, duration_milliseconds=duration):
            return Dtmf(key, duration)
        case events.Json(data=data):
            return Json(msgspec.json.decode(data))
        case events.Data(data=data):
            return Data(data)
        case _:
            return None  # The answer to a ping; what only servers have.


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """A call's figures up to now, or up to its end."""

    frames_sent: int = 0
    frames_too_large: int = 0
    """Not sent, as they did not fit the one size that the server asks for (padding class 2)."""
    frames_received: int = 0
    frames_dropped: int = 0
    """Received, and dropped here because nobody read them in time.  The way from the server itself loses none."""
    tls_ms: float | None = None
    """From the connected socket to the end of the TLS handshake; None while it has not come to that, here and below."""
    voice_ms: float | None = None
    """From the HTTP response to the agreed voice keys."""
    tls_group: str | None = None
    suite: str | None = None
    server_signatures: tuple[str, ...] = ()
    """The algorithms by which the server proved itself."""
    is_resumed: bool = False
    """A ticket took the place of signatures and credential."""
    tickets: int = 0
    """Tickets that the server has given for further calls."""
    session_id: str | None = None
    epochs: int = 0
    """Epochs this side has sent under: each has keys of a key agreement of its own."""
    generations: int = 0
    """Keys this side has sent under, in all epochs."""
    reauthentications: int = 0
    """How often the server proved itself again in the course of the call."""
