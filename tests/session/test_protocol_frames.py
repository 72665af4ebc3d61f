"""Protocol §9: each frame type: what it holds, which way it goes, and how often."""

import pytest

from sottovoce.session.events import Audio, Clear, Dtmf, Event, Json, Mark, Mute, Pong
from sottovoce.wire import Code
from tests.session.foreign_bytes import (
    AUDIO,
    CLEAR,
    CLOSE,
    COVER,
    DATA,
    DTMF,
    HANDSHAKE,
    JSON,
    MARK,
    MUTE,
    PING,
    PONG,
    SWITCH,
    u,
)  # fmt: skip
from tests.session.meeting import AtClient, AtServer, Meeting, code_of

Role = type[AtServer] | type[AtClient]
ROLES = [AtServer, AtClient]


def said(role: Role, frame_type: int, payload: bytes = b"", padding: int = 0) -> tuple[int | None, list[Event]]:
    """(code, events but Established) after one frame."""
    meeting = role()
    before = len(meeting.events)
    meeting.say(frame_type, payload, padding)
    return code_of(meeting), meeting.events[before:]


GOOD = [
    pytest.param(AUDIO, b"\0codec", Audio(b"\0codec"), "both", id="audio", marks=pytest.mark.protocol("P9.5")),
    pytest.param(AUDIO, b"\x20codec", Audio(b"\x20codec"), "both", id="talk spurt", marks=pytest.mark.protocol("P9.5")),
    pytest.param(
        AUDIO, b"\x40codec", Audio(b"\x40codec"), "both", id="end of turn", marks=pytest.mark.protocol("P9.5")
    ),
    pytest.param(
        AUDIO, b"\x70\0\0\0\x09c", Audio(b"\x70\0\0\0\x09c"), "both", id="timestamp", marks=pytest.mark.protocol("P9.5")
    ),
    pytest.param(AUDIO, b"\0", Audio(b"\0"), "both", id="silence", marks=pytest.mark.protocol("P9.7")),
    pytest.param(
        AUDIO, b"\x10\0\0\0\0", Audio(b"\x10\0\0\0\0"), "both", id="silence at", marks=pytest.mark.protocol("P9.7")
    ),
    pytest.param(AUDIO, b"\0x\0\0\0", Audio(b"\0x\0\0\0"), "both", id="zeros", marks=pytest.mark.protocol("P9.1")),
    pytest.param(DTMF, b"\x00\x00\x00", Dtmf(0, 0), "both", id="dtmf 0", marks=pytest.mark.protocol("P9.9")),
    pytest.param(DTMF, b"\x0f\xff\xff", Dtmf(15, 65535), "both", id="dtmf 15", marks=pytest.mark.protocol("P9.9")),
    pytest.param(PONG, b"12345678", Pong(b"12345678"), "both", id="pong", marks=pytest.mark.protocol("P9.10")),
    pytest.param(JSON, b'{"a": [1]}', Json(b'{"a": [1]}'), "both", id="json", marks=pytest.mark.protocol("P9.13")),
    pytest.param(COVER, b"anything \x00", None, "both", id="cover", marks=pytest.mark.protocol("P9.14")),
    pytest.param(COVER, b"", None, "both", id="empty cover", marks=pytest.mark.protocol("P9.14")),
    pytest.param(MARK, "wörd".encode(), Mark("wörd"), "both", id="mark", marks=pytest.mark.protocol("P9.15")),
    pytest.param(MARK, b"x" * 64, Mark("x" * 64), "both", id="mark of 64", marks=pytest.mark.protocol("P9.15")),
    pytest.param(CLEAR, b"", Clear(), "down", id="clear", marks=pytest.mark.protocol("P9.16")),
    pytest.param(MUTE, b"\x01", Mute(muted=True), "up", id="mute", marks=pytest.mark.protocol("P9.17")),
    pytest.param(MUTE, b"\x00", Mute(muted=False), "up", id="unmute", marks=pytest.mark.protocol("P9.17")),
    pytest.param(0x80, b"future", None, "both", id="0x80", marks=pytest.mark.protocol("P9.4")),
    pytest.param(0xFF, b"", None, "both", id="0xff", marks=pytest.mark.protocol("P9.4")),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("padding", [0, 1, 200])
@pytest.mark.parametrize(("frame_type", "payload", "event", "way"), GOOD)
def test_frames_that_are_taken(  # noqa: PLR0913, PLR0917  a table's columns
    role: Role, padding: int, frame_type: int, payload: bytes, event: Event | None, way: str
) -> None:
    if way not in {"both", "up" if role is AtServer else "down"}:
        return
    code, events = said(role, frame_type, payload, padding)
    assert code is None
    assert events == ([] if event is None else [event])


BAD = [
    *(
        pytest.param(AUDIO, u(bit, 1) + b"c", id=f"flag {bit:#x}", marks=pytest.mark.protocol("P9.6"))
        for bit in (0x01, 0x02, 0x04, 0x08, 0x80, 0xFF)
    ),
    pytest.param(AUDIO, b"", id="no flags", marks=pytest.mark.protocol("P9.5")),
    pytest.param(AUDIO, b"\x10\0\0\0", id="half a timestamp", marks=pytest.mark.protocol("P9.5")),
    pytest.param(SWITCH, b"\0\0\x02", id="switch 3", marks=pytest.mark.protocol("P9.8")),
    pytest.param(SWITCH, b"\0\0\0\0\x02", id="switch 5", marks=pytest.mark.protocol("P9.8")),
    pytest.param(DTMF, b"\x10\0\1", id="dtmf 16", marks=pytest.mark.protocol("P9.9")),
    pytest.param(DTMF, b"\x01\1", id="dtmf short", marks=pytest.mark.protocol("P9.9")),
    pytest.param(DTMF, b"\x01\0\1\1", id="dtmf long", marks=pytest.mark.protocol("P9.9")),
    pytest.param(PING, b"1234567", id="ping 7", marks=pytest.mark.protocol("P9.10")),
    pytest.param(PING, b"123456789", id="ping 9", marks=pytest.mark.protocol("P9.10")),
    pytest.param(PONG, b"", id="pong 0", marks=pytest.mark.protocol("P9.10")),
    pytest.param(HANDSHAKE, b"", id="empty handshake", marks=pytest.mark.protocol("P9.11")),
    pytest.param(HANDSHAKE, b"\x10\0\0", id="half a header", marks=pytest.mark.protocol("P9.11")),
    pytest.param(JSON, b"[]", id="json list", marks=pytest.mark.protocol("P9.13")),
    pytest.param(JSON, b"", id="no json", marks=pytest.mark.protocol("P9.13")),
    pytest.param(JSON, b'{"a":', id="half a json", marks=pytest.mark.protocol("P9.13")),
    pytest.param(JSON, b'{"a":"\xff"}', id="json not utf-8", marks=pytest.mark.protocol("P9.13")),
    pytest.param(JSON, b"[" * 3900, id="json deep", marks=pytest.mark.protocol("P9.13")),
    pytest.param(JSON, b'{"a":' * 780, id="json deep objects", marks=pytest.mark.protocol("P9.13")),
    pytest.param(JSON, b'{"a":"' + b"x" * 3993 + b'"}', id="json 4001", marks=pytest.mark.protocol("P9.13")),
    pytest.param(MARK, b"x" * 65, id="mark of 65", marks=pytest.mark.protocol("P9.15")),
    pytest.param(MARK, b"\xff", id="mark not utf-8", marks=pytest.mark.protocol("P9.15")),
    pytest.param(MARK, "é".encode()[:1], id="mark cut off", marks=pytest.mark.protocol("P9.15")),
    pytest.param(CLEAR, b"x", id="clear with payload", marks=pytest.mark.protocol("P9.16")),
    pytest.param(MUTE, b"\x02", id="mute 2", marks=pytest.mark.protocol("P9.17")),
    pytest.param(MUTE, b"\x01\x01", id="mute long", marks=pytest.mark.protocol("P9.17")),
    pytest.param(MUTE, b"", id="mute empty", marks=pytest.mark.protocol("P9.17")),
    pytest.param(DATA, b"data", id="data", marks=pytest.mark.protocol("P9.26")),
    pytest.param(DATA, b"", id="empty data", marks=pytest.mark.protocol("P9.26")),
    *(
        pytest.param(number, b"x", id=f"type {number:#x}", marks=pytest.mark.protocol("P9.3"))
        for number in (0x0E, 0x0F, 0x40, 0x7F)
    ),
]


@pytest.mark.protocol("P10.1")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("frame_type", "payload"), BAD)
def test_frames_that_are_refused(role: Role, frame_type: int, payload: bytes) -> None:
    assert said(role, frame_type, payload) == (Code.BAD_RECORD, said(role, frame_type, payload)[1])


@pytest.mark.protocol("P9.13")
def test_a_json_of_the_greatest_size() -> None:
    largest = b'{"a":"' + b"x" * 3992 + b'"}'
    assert len(largest) == 4000
    assert said(AtServer, JSON, largest) == (None, [Json(largest)])


@pytest.mark.protocol("P9.19", "P10.1")
def test_frames_in_the_wrong_direction() -> None:
    assert said(AtServer, CLEAR)[0] == Code.BAD_RECORD
    assert said(AtClient, MUTE, b"\x01")[0] == Code.BAD_RECORD
    with pytest.raises(AttributeError):
        AtClient().client.send_clear(0.0)  # type: ignore[attr-defined]  the machine of a role has no way to do it
    with pytest.raises(AttributeError):
        AtServer().server.send_mute(0.0, muted=True)  # type: ignore[attr-defined]


@pytest.mark.protocol("P9.2", "P11.35", "P10.1")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("zeros", [0, 1, 87, 4000])
def test_padding_only(role: Role, zeros: int) -> None:
    meeting = role()
    meeting.take(meeting.out.seal(bytes(zeros)))
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P9.1", "P9.7")
def test_the_type_is_the_last_byte_that_is_not_zero() -> None:
    """A payload may end in zeros; a plaintext of the bytes 01 alone is an audio frame without flags."""
    assert said(AtServer, AUDIO, b"\0" * 9) == (None, [Audio(b"\0" * 9)])
    meeting = AtServer()
    meeting.take(meeting.out.seal(b"\x01"))
    assert code_of(meeting) == Code.BAD_RECORD


# What we send


@pytest.mark.protocol("P9.5", "P9.9", "P9.13", "P9.15", "P9.16", "P9.17")
def test_what_our_machines_send_is_what_the_table_says() -> None:
    client, server = AtClient(), AtServer()
    client.client.send_dtmf(5, 100, 0.0)
    client.client.send_json(b'{"a":1}', 0.0)
    client.client.send_mark("done", 0.0)
    client.client.send_mute(0.0, muted=True)
    assert client.hear() == [(DTMF, b"\5\0\x64"), (JSON, b'{"a":1}'), (MARK, b"done"), (MUTE, b"\1")]
    server.server.send_mark("here", 0.0)
    server.server.send_clear(0.0)
    server.server.request_rekey()
    assert server.hear() == [(MARK, b"here"), (CLEAR, b""), (HANDSHAKE, b"\x10\0\0\0")]
    for ours in (client, server):
        for flags, timestamp, expected in (
            (0, None, b"\0abc"),
            (0x20, 7, b"\x30\0\0\0\7abc"),
            (0x40, None, b"\x40abc"),
        ):
            record = ours.ours.seal_audio(b"abc", 0.0, flags=flags, timestamp=timestamp)
            assert record is not None
            assert ours.read(record) == (AUDIO, expected)


@pytest.mark.protocol("P9.10")
def test_pings_are_echoed_five_a_second() -> None:
    meeting = AtServer()
    meeting.say(PING, b"abcdefgh")
    assert meeting.hear() == [(PONG, b"abcdefgh")]
    for number in range(20):
        meeting.say(PING, u(number, 8))
    assert 4 <= len(meeting.hear()) <= 5
    meeting.now = 1.0
    for number in range(20):
        meeting.say(PING, u(number, 8))
    assert len(meeting.hear()) == 5
    assert code_of(meeting) is None


METERED = [
    pytest.param(AtServer, DTMF, b"\1\0\1", id="dtmf"),
    pytest.param(AtServer, PING, bytes(8), id="ping"),
    pytest.param(AtServer, JSON, b"{}", id="json"),
    pytest.param(AtServer, MUTE, b"\1", id="mute"),
    pytest.param(AtServer, MARK, b"no echo", id="a mark that echoes none"),
    pytest.param(AtClient, DTMF, b"\1\0\1", id="dtmf down"),
    pytest.param(AtClient, PING, bytes(8), id="ping down"),
    pytest.param(AtClient, JSON, b"{}", id="json down"),
    pytest.param(AtClient, MARK, b"m", id="mark"),
    pytest.param(AtClient, CLEAR, b"", id="clear"),
]


@pytest.mark.protocol("P9.20", "P10.13")
@pytest.mark.parametrize(("role", "frame_type", "payload"), METERED)
def test_a_burst_of_250_and_50_a_second(role: Role, frame_type: int, payload: bytes) -> None:
    meeting = role()
    for _ in range(250):
        meeting.say(frame_type, payload)
    assert code_of(meeting) is None
    meeting.now = 1.0
    for _ in range(50):
        meeting.say(frame_type, payload)
    assert code_of(meeting) is None
    meeting.say(frame_type, payload)
    assert code_of(meeting) == Code.RATE_LIMITED


@pytest.mark.protocol("P9.20")
def test_the_types_draw_on_one_bucket() -> None:
    meeting = AtServer()
    for number in range(251):
        meeting.say(*((DTMF, b"\1\0\1"), (JSON, b"{}"), (PING, bytes(8)), (MUTE, b"\0"))[number % 4])
        if number == 249:
            assert code_of(meeting) is None
    assert code_of(meeting) == Code.RATE_LIMITED


@pytest.mark.protocol("P9.20")
@pytest.mark.parametrize("role", ROLES)
def test_audio_cover_pongs_and_unknown_types_cost_nothing(role: Role) -> None:
    meeting = role()
    for _ in range(300):
        meeting.say(AUDIO, b"\0x")
        meeting.say(COVER, b"x")
        meeting.say(PONG, bytes(8))
        meeting.say(0x80)
    assert code_of(meeting) is None


@pytest.mark.protocol("P9.20", "P9.15")
def test_echoes_cost_nothing() -> None:
    meeting = AtServer()
    for turn in range(10):
        meeting.now = 2.0 * turn
        for number in range(40):
            assert meeting.server.send_mark(f"{turn}.{number}", meeting.now)
    meeting.hear()
    for _ in range(400):
        meeting.say(MARK, b"echo")
    assert code_of(meeting) is None
    for _ in range(251):
        meeting.say(MARK, b"no echo any more")
    assert code_of(meeting) == Code.RATE_LIMITED


def _silence(meeting: Meeting) -> int | None:
    meeting.say(AUDIO, b"\0")
    return code_of(meeting)


@pytest.mark.protocol("P9.27", "P9.7", "P9.32")
@pytest.mark.parametrize("length", [0, 1, 319, 639, 641, 8000])
def test_receivers_do_not_count_the_bytes_of_a_frame(length: int) -> None:
    """PCM16 at 16 kHz and 20 ms has 640; the last frame of a recording may be shorter."""
    assert said(AtServer, AUDIO, b"\0" + b"x" * length)[0] is None
    assert _silence(AtClient()) is None
    assert CLOSE == 7
