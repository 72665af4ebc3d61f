"""Targets for what backends say in the dialects of other vendors: AudioSocket and OpenAI's Realtime.

The bytes are a server's, cut into pieces; what a client says, and time that goes by, come in between.  Whatever a
server says is taken, ignored or refused, and a client is never given more than a server said, or longer frames than it
has.
"""

from collections.abc import Iterator

import msgspec

from sottovoce.relay.audiosocket import AudioSocketDialect, AudioSocketOptions, codecs_of
from sottovoce.relay.audiosocket.framing import AudioSocketFraming
from sottovoce.relay.errors import BackendMisbehaved
from sottovoce.relay.link import Dialect, MeteredSink
from sottovoce.relay.link.playout import MAX_WAITING_SECONDS
from sottovoce.relay.realtime import CODECS, RealtimeDialect, RealtimeOptions, session_of
from sottovoce.relay.realtime.formats import format_to_client, format_to_server, with_formats
from sottovoce.relay.realtime.resample import Resampler
from sottovoce.transport import PeerClosed, WsFailed
from sottovoce.wire import FRAME_MILLISECONDS, Codec, frames
from tests.fuzz.choices import Choices
from tests.fuzz.files import one_line
from tests.relay.calls import START, RecordingSink

_WIDE = codecs_of(AudioSocketOptions(rates=(8_000, 16_000, 24_000, 48_000)))
_STEPS = (0.0, 0.02, 0.3, 5.0, 100.0)


class _Call:
    """A dialect between a server that is the input and a client that listens."""

    def __init__(self, choices: Choices, codecs: frozenset[Codec]) -> None:
        codec, reply = choices.pick(sorted(codecs)), choices.pick(sorted(codecs))
        self.start = msgspec.structs.replace(
            START, send_codec=codec, receive_codec=reply, frame_milliseconds=choices.pick(FRAME_MILLISECONDS)
        )
        self.sink = RecordingSink()
        self.metered = MeteredSink(self.start, self.sink, 0.0)

    def go_on(self, dialect: Dialect, choices: Choices) -> None:
        """Let the client say something, and time go by."""
        made = dialect.audio(frames.encode_audio(choices.piece(), 0, None), choices.below(3))
        assert all(made) if isinstance(made, list) else made
        dialect.dtmf(choices.below(16), 100)
        until = self.metered.now + choices.pick(_STEPS)
        before = (-1.0, -1)
        while (deadline := dialect.deadline()) is not None and deadline <= until:
            self.metered.now = max(self.metered.now, deadline)
            assert (self.metered.now, len(self.sink.told)) > before, "a deadline that changes nothing"
            before = (self.metered.now, len(self.sink.told))
            dialect.fire(self.metered)
        self.metered.now = until

    def check(self, most_seconds: float) -> None:
        """The client was given frames of its call, and no more of them than was said."""
        codec = self.start.receive_codec
        given = [told[1] for told in self.sink.named("audio")]
        assert all(
            isinstance(each, bytes) and len(each) <= codec.frame_bytes(self.start.frame_milliseconds) for each in given
        )
        assert sum(map(len, given)) <= codec.frame_bytes(1000) * most_seconds  # type: ignore[arg-type]  # bytes


def fuzz_audiosocket(data: bytes) -> None:
    """Bytes of a server, in pieces, and the end of the connection."""
    choices = Choices(data)
    call = _Call(choices, _WIDE)
    dialect, framing = AudioSocketDialect(call.start), AudioSocketFraming()
    heard = 0
    try:
        while choices.are_left and not framing.is_over:
            piece = choices.take(choices.number(2) % 700)
            heard += len(piece)
            message = framing.receive_message(piece)
            for event in framing.receive(piece) if message is None else [message]:
                _hear_socket(dialect, event, call)
            call.go_on(dialect, choices)
        for event in framing.receive_eof():
            _hear_socket(dialect, event, call)
    except BackendMisbehaved as fault:
        one_line(fault)
    call.check(heard / (2 * call.start.receive_codec.sample_rate))
    assert len(framing._unread) <= heard


def _hear_socket(dialect: AudioSocketDialect, event: object, call: _Call) -> None:
    match event:
        case bytes():
            dialect.receive_binary(event, call.metered)
        case PeerClosed(code=code):
            dialect.closed(code, call.metered)
            assert call.metered.hang_up
        case WsFailed(reason=reason):
            assert reason.isprintable()
        case _:
            raise AssertionError(event)


def fuzz_realtime(data: bytes) -> None:
    """Texts of a server, one after the other; or files of an operator, or samples at any rate."""
    choices = Choices(data)
    match choices.below(8):
        case 0:
            _read_files(choices)
        case 1:
            _resample(choices)
        case _:
            _converse(choices)


def _converse(choices: Choices) -> None:
    call = _Call(choices, CODECS)
    options = RealtimeOptions(rate=choices.pick((16_000, 24_000)), g711=choices.flag())
    dialect = RealtimeDialect(call.start, session_of(options), options)
    said = format_to_client(call.start.receive_codec, options)
    heard = 0
    try:
        while choices.are_left:
            text = choices.take(choices.number(2) % 2_000).decode("utf-8", "replace")
            heard += len(text)
            dialect.receive_text(text, call.metered)
            answers, call.metered.answers = call.metered.answers, []
            for answer in answers:
                read = msgspec.json.decode(answer, type=dict[str, object])  # type: ignore[arg-type]  # all are texts
                assert read["type"] in {"response.cancel", "conversation.item.truncate"}
                end = read.get("audio_end_ms", 0)
                assert isinstance(end, int)
                assert 0 <= end <= 1000 * min(heard / said.bytes_per_second, MAX_WAITING_SECONDS + 200)
            call.go_on(dialect, choices)
    except BackendMisbehaved as fault:
        one_line(fault)
    call.check(heard / said.bytes_per_second + 0.001 * len(call.sink.told))


def _read_files(choices: Choices) -> None:
    options = RealtimeOptions(dialect=choices.pick(("ga", "beta")))
    try:
        made = msgspec.json.decode(msgspec.json.encode(session_of(options, choices.rest())), type=dict[str, object])
    except ValueError as error:
        one_line(error)
        return
    codec = choices.pick(sorted(CODECS))
    formats = format_to_server(codec, options, 20), format_to_client(codec, options)
    with_formats(made, options, *formats)


def _resample(choices: Choices) -> None:
    rates = (8_000, 16_000, 24_000, 48_000)
    from_rate, to_rate = choices.pick(rates), choices.pick(rates)
    resampler = Resampler(from_rate, to_rate)
    while choices.are_left:
        piece = choices.piece()
        made = resampler.convert(piece)
        assert len(made) % 2 == 0
        assert 0 <= len(made) // 2 * from_rate - len(piece) // 2 * to_rate < 6 * 48_000


def audiosocket_seeds() -> Iterator[bytes]:
    """Messages of every kind, whole and cut."""
    kinds = (b"\x10\1\x40" + bytes(320), b"\x12\2\x80" + bytes(640), b"\x03\0\x015", b"\0\0\0", b"\xff\0\1\2")
    for index, message in enumerate(kinds):
        for codec in range(6):
            yield bytes([codec, codec, index % 4]) + len(message).to_bytes(2) + message + bytes(4)
            yield bytes([codec, codec, 1]) + b"\0\2" + message[:2] + bytes(4) + b"\0\x02" + message[2:]


def realtime_seeds() -> Iterator[bytes]:
    """Events that are acted on, sessions, and samples."""
    events = (
        b'{"type":"response.created","response":{"id":"r"}}',
        b'{"type":"response.output_audio.delta","delta":"' + b"AAEC" * 400 + b'","item_id":"i","response_id":"r"}',
        b'{"type":"response.audio.delta","delta":"AAEC"}',
        b'{"type":"input_audio_buffer.speech_started"}',
        b'{"type":"response.done","response":{"id":"r"}}',
        b'{"type":"error","error":{"type":"a","event_id":"sottovoce_session"}}',
        b'{"type":"rate_limits.updated","rate_limits":[]}',
    )
    for codec in range(6):
        yield bytes([2, codec, codec, 1, 1, codec & 1]) + b"".join(
            len(each).to_bytes(2) + each + bytes(4) for each in events[:5]
        )
    for event in events:
        yield bytes([3, 0, 0, 1, 0, 0]) + len(event).to_bytes(2) + event + b"\0\0\0\2"
    yield b"\0\0" + b'{"type":"realtime","audio":{"input":{"turn_detection":null},"output":{"voice":"v"}},"tools":[{}]}'
    yield b"\0\1" + b'{"voice":"v","modalities":["audio"]}'
    yield b"\1\0\2" + (b"\x60" + bytes(range(96))) * 3
