"""The target for mux, both roles: what a backend may send the proxy, and what somebody may send a backend.

The first byte says whose parser it is and how the bytes are cut; the rest are frames in short, or bytes as they come.
However they are cut, the same calls hear the same, each has one end at most, and what is answered are whole frames.
"""

from collections.abc import Iterator

from sottovoce.backend.items import Ended, Item
from sottovoce.backend.machine import MuxMachine
from tests.backend.mux import proxies
from tests.fuzz.choices import Choices
from tests.relay.calls import DATA_START, START, RecordingSink
from tests.relay.mux import talking

_KINDS = (*talking.NAMES, 0x40, 0x80)


def fuzz_mux(data: bytes) -> None:
    """Whole and in pieces, as the first byte says."""
    choices = Choices(data)
    size = 1 + choices.below(64)
    is_proxy, is_short = choices.flag(), choices.flag()
    stream = b"".join(_frames(choices)) if is_short else choices.rest()
    hear = _at_the_proxy if is_proxy else _at_the_backend
    assert hear(stream, size) == hear(stream, len(stream) or 1)


def _frames(choices: Choices) -> Iterator[bytes]:
    """Frames of the input: a type, a call, and a body that may be long without being written out."""
    while choices.are_left:
        kind, call = choices.pick(_KINDS), choices.below(5)
        yield talking.frame(kind, call, choices.piece() * choices.pick((1, 1, 1, 80)))


def _at_the_proxy(stream: bytes, size: int) -> object:
    """Two calls, one of data, and one that waits for its answer; what each was told."""
    talk, sinks = talking.Talk(), [RecordingSink() for _ in range(3)]
    talk.call(sinks[0])
    talk.call(sinks[1], DATA_START)
    asked = talk.ask(sinks[2], START)
    talk.hear()
    answers = b""
    for at in range(0, len(stream), size):
        talk.say(stream[at : at + size])
        answers += talk.machine.to_send()
    for sink in sinks:
        ends = [at for at, told in enumerate(sink.told) if told[0] in {"backend_closed", "hung_up"}]
        assert ends in ([], [len(sink.told) - 1]), "something was told behind an end"
    assert not sinks[2].told
    frames, rest = talking.split(answers)
    assert not rest
    assert talk.machine.is_ended == (talk.machine.fault is not None)
    kept = [each for each in frames if each[0] != "pong"]  # the newest ping of a piece is answered
    return [sink.told for sink in sinks], str(asked.refusal), str(talk.machine.fault), kept


def _at_the_backend(stream: bytes, size: int) -> object:
    """Two calls, one of data, and those that are opened; what each handler takes."""
    talk = proxies.Talk(busy_at=4)
    calls = [talk.call(1), talk.call(2, data=True)]
    heard: dict[int, list[Item]] = {}
    answers = b""
    for at in range(0, len(stream), size):
        talk.say(stream[at : at + size])
        calls += talk.machine.take_begun()
        answers += talk.machine.to_send()
    for call in calls:
        heard[call.number] = proxies.items(call)
        ends = [at for at, item in enumerate(heard[call.number]) if isinstance(item, Ended)]
        assert ends == ([len(heard[call.number]) - 1] if call.ended else [])
    told, rest = proxies.split(answers)
    assert not rest
    assert isinstance(talk.machine, MuxMachine)
    return heard, talk.machine.fault, told


def seeds() -> Iterator[bytes]:
    """What sound ends say, frame by frame and in a row."""
    said = [
        talking.frame("opened", 3), talking.credit(1, 5), talking.frame("audio", 1, b"\x10\0\0\0\1abc"),
        talking.frame("dtmf", 1, b"\1\0\1"), talking.frame("mark", 1, b"a"), talking.frame("json", 2, b'{"a":1}'),
        talking.frame("data", 2, b"abc"), talking.frame("clear", 1), talking.frame("ping", 0, bytes(8)),
        talking.frame("stop", 1, b'{"reason":"done"}'), talking.frame("error", 2, b'{"code":"failed"}'),
        talking.frame("refused", 3), talking.frame("goaway", 0), talking.frame("pong", 0, bytes(8)),
    ]  # fmt: skip
    for frame in (*said, b"".join(said)):
        yield b"\3\1\0" + frame
    heard = [
        proxies.opening(3), proxies.credit(1, 5), proxies.frame("audio", 1, b"\x31\0\1\0\0\0\1abc"),
        proxies.frame("mute", 1, b"\1"), proxies.frame("data", 2, b"abc"), proxies.stopping(1),
        proxies.frame("error", 2, {"code": "flood"}), proxies.frame("ping", 0, bytes(8)), proxies.frame("goaway", 0),
    ]  # fmt: skip
    for frame in (*heard, b"".join(heard)):
        yield b"\3\0\0" + frame
    yield b"\3\1\1" + bytes([3, 1, 4]) + b"\0abc\3"
    yield b"\3\0\1" + bytes([3, 1, 4]) + b"\0abc\3"
