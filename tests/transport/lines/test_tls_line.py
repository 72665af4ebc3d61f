"""What TLS adds to a line: answers of its own, records that are longer than a turn, ends that are no good ones."""

from typing import cast

import pytest
import trio
from trio.testing import MockClock

from sottovoce.transport import TlsStream
from sottovoce.transport.lines import TURN_BYTES, TlsLine
from tests.transport.lines.ends import MUCH, Ends, User, ends, settle, transports

RECORD = 16_384
GARBAGE = b"\x17\x03\x03\x00\x40" + bytes(64)
TLS = pytest.mark.parametrize("kind", ["tls on socket", "tls on memory"])


def send_raw(both: Ends, data: bytes) -> None:
    """Have the peer write past its TLS."""
    both.peer_does(lambda: both.below.send_all(data))


@TLS
async def test_a_record_is_passed_on_in_pieces_with_turns_between(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        turns: list[int] = []
        turn = 0

        async def count() -> None:
            nonlocal turn
            while True:
                turn += 1
                await trio.lowlevel.checkpoint()

        both.user.on_received = lambda _data: turns.append(turn)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            both.say(bytes(RECORD))
            while len(both.user.data) < RECORD:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert len(turns) >= RECORD // TURN_BYTES
        assert max(turns.count(each) for each in turns) <= 2  # in one turn's batch we may be last, in the next first


@TLS
async def test_what_the_stream_had_decrypted_already_comes_first(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind, begun=False) as both:
        await both.line.release()
        both.say(b"first, second")
        stream = both.stream
        assert isinstance(stream, TlsStream)
        assert await stream.receive_some(7) == b"first, "
        both.line = TlsLine(stream)
        both.begin()
        await settle()
        assert both.user.data == b"second"


@TLS
async def test_what_was_not_passed_on_is_the_owners(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = lambda _data: both.line.hold()
        both.say(bytes(RECORD))
        await settle()
        assert len(both.user.data) == TURN_BYTES
        await both.line.release()
        rest = bytearray()
        while len(rest) < RECORD - TURN_BYTES:
            rest += await both.stream.receive_some()
        assert len(rest) == RECORD - TURN_BYTES


@TLS
async def test_what_waits_for_its_turn_is_not_lost_by_a_release(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both, trio.open_nursery() as nursery:
        has_gone = trio.Event()

        async def release() -> None:
            await both.line.release()
            has_gone.set()

        both.user.on_received = lambda _data: nursery.start_soon(release)
        both.say(bytes(RECORD))
        await has_gone.wait()
        seen = len(both.user.data)
        with trio.move_on_after(1):
            while seen < RECORD:
                seen += len(await both.stream.receive_some())
        assert seen == RECORD


@TLS
@pytest.mark.parametrize("end", ["closed", "garbage"])
async def test_an_end_that_the_stream_has_read_already_is_told(autojump_clock: MockClock, kind: str, end: str) -> None:
    async with ends(kind, begun=False) as both:
        await both.line.release()
        stream, peer = both.stream, both.peer
        assert isinstance(stream, TlsStream)
        assert isinstance(peer, TlsStream)
        peer.core.send(b"all in one piece")
        if end == "closed":
            peer.core.close()
        send_raw(both, peer.core.to_send() + (GARBAGE if end == "garbage" else b""))
        if end == "garbage":
            both.peer_does(both.below.receive_some)
        assert await stream.receive_some(7) == b"all in "
        both.line = TlsLine(stream)
        both.begin()
        await settle()
        assert both.user.data == b"one piece"
        (reason,) = both.user.of("lost")
        assert ("bad record mac" in str(reason)) if end == "garbage" else (reason == "")


@TLS
async def test_garbage_ends_it_and_the_peer_learns_why(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"good so far")
        send_raw(both, GARBAGE)
        with pytest.raises(trio.BrokenResourceError, match="with alert 20"):
            await both.peer.receive_some()
        await settle()
        assert both.user.data == b"good so far"
        (reason,) = both.user.of("lost")
        assert "bad record mac" in str(reason)
        both.line.write(b"to nobody")
        both.line.hold()
        both.line.resume()
        send_raw(both, GARBAGE)
        await settle()
        assert len(both.user.of("lost")) == 1
        assert both.user.data == b"good so far"


@TLS
async def test_plaintext_before_garbage_in_one_piece(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        assert isinstance(both.peer, TlsStream)
        core = both.peer.core
        core.send(bytes(6_000))
        both.line.hold()
        await settle()
        send_raw(both, core.to_send() + GARBAGE)
        await settle()
        both.line.resume()
        with trio.move_on_after(1), pytest.raises(trio.BrokenResourceError):
            await both.peer.receive_some()
        await settle()
        assert len(both.user.data) == 6_000
        assert len(both.user.of("lost")) == 1


@TLS
async def test_an_end_without_close_notify_is_told(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.say(b"and then")
        both.peer_does(both.below.aclose)
        await settle()
        assert both.user.data == b"and then"
        assert "closing alert" in str(both.user.of("lost"))


@TLS
async def test_an_end_while_a_record_is_passed_on_in_pieces(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = lambda _data: both.line.hold()
        both.say(bytes(RECORD))
        both.peer_does(both.below.aclose)
        for _ in range(RECORD // TURN_BYTES):
            await settle()
            assert both.user.words == []
            both.line.resume()
        both.line.resume()
        await settle()
        assert len(both.user.data) == RECORD
        assert both.user.words == ["lost"]


@TLS
async def test_the_peers_alert_is_told(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both, trio.open_nursery() as nursery:
        assert isinstance(both.stream, TlsStream)
        nursery.start_soon(both.stream.transport.send_all, GARBAGE)
        with pytest.raises(trio.BrokenResourceError, match="bad record mac"):
            await both.peer.receive_some()
        await settle()
        (reason,) = both.user.of("lost")
        assert "with alert 20" in str(reason)


@TLS
async def test_resumed_and_held_in_one_breath_while_pieces_wait(autojump_clock: MockClock, kind: str) -> None:
    async with ends(kind) as both:
        both.user.on_received = lambda _data: both.line.hold()
        both.say(bytes(RECORD))
        await settle()
        for _ in range(3):
            both.line.resume()
            both.line.resume()
            both.line.hold()
        await settle()
        assert len(both.user.data) == TURN_BYTES


@TLS
async def test_a_user_that_raises_between_the_pieces(autojump_clock: MockClock, kind: str) -> None:
    def fail(_data: bytes) -> None:
        if len(both.user.data) > TURN_BYTES:
            raise ValueError

    async with ends(kind) as both:
        both.user.on_received = fail
        both.say(bytes(RECORD))
        both.line.write(bytes(MUCH))
        await settle()
        assert both.user.words == ["crashed"]
        with trio.move_on_after(1):
            while True:
                await both.peer.receive_some()
        both.line.resume()
        await settle()
        assert both.user.words == ["crashed"]
        assert len(both.user.data) == 2 * TURN_BYTES


class Asking:
    """A TLS core whose peer sends nothing but questions, each of which TLS answers by itself."""

    failure = None
    closed_by_peer = False
    answer = bytes(100_000)

    def __init__(self, plaintext: bytes) -> None:
        self.asked = 0
        self.plaintext = plaintext
        self._owed = self._fed = b""
        self.records = self

    def receive_record(self, data: bytes) -> None:
        self._fed = data  # no data of the peer's, so the long way is asked

    def receive(self, data: bytes) -> bytes:
        self.asked += len(self._fed or data)
        self._fed = b""
        self._owed += self.answer
        return self.plaintext

    def receive_eof(self) -> None:
        """It may end so."""

    def seal(self, data: bytes) -> bytes:
        self._owed += data
        return self.to_send()

    def to_send(self) -> bytes:
        owed, self._owed = self._owed, b""
        return owed


class AskedStream:
    """The part of a `TlsStream` that a line looks at."""

    def __init__(self, transport: trio.abc.Stream, plaintext: bytes = b"") -> None:
        self.transport = transport
        self.core = Asking(plaintext)
        self.is_cut = False

    def hand_over(self) -> tuple[bytes, bytes]:
        return b"", b""

    def hand_back(self, taken: bytes, owed: bytes, *, is_cut: bool) -> None:
        self.is_cut = is_cut


async def test_who_asks_without_reading_is_not_read(autojump_clock: MockClock, kind: str) -> None:
    ours, theirs = await transports(kind)
    stream = AskedStream(ours)
    line, user = TlsLine(cast("TlsStream", stream)), User()
    line.begin(user)
    line.resume()
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            while True:
                await theirs.send_all(bytes(TURN_BYTES))

        nursery.start_soon(ask)
        await settle()
        asked = stream.core.asked
        assert asked < MUCH // 100
        assert line.is_clogged
        line.hold()
        line.resume()  # its user knows nothing of it
        await trio.sleep(10)
        assert stream.core.asked == asked
        with trio.move_on_after(5):
            while stream.core.asked < 2 * asked:
                await theirs.receive_some()
        assert stream.core.asked >= 2 * asked
        nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(theirs)
    await trio.sleep(3)
    assert user.words[-1] == "lost"  # found though nothing was read
    assert user.words.count("lost") == 1
    await line.release()
    await trio.aclose_forcefully(ours)


async def test_held_by_its_user_while_an_answer_waits(autojump_clock: MockClock, kind: str) -> None:
    ours, theirs = await transports(kind)
    stream = AskedStream(ours)
    line, user = TlsLine(cast("TlsStream", stream)), User()
    line.begin(user)
    line.resume()
    while not line.is_clogged:
        with trio.move_on_after(1):
            await theirs.send_all(bytes(TURN_BYTES))
        await settle()
    asked = stream.core.asked
    line.hold()
    with trio.move_on_after(1):
        while True:
            await theirs.receive_some()
    await settle()
    assert not line.is_clogged
    with trio.move_on_after(1):
        await theirs.send_all(bytes(TURN_BYTES))
    assert stream.core.asked == asked
    await line.release()
    for end in (ours, theirs):
        await trio.aclose_forcefully(end)


async def test_what_came_with_questions_is_passed_on(autojump_clock: MockClock, kind: str) -> None:
    ours, theirs = await transports(kind)
    stream = AskedStream(ours, plaintext=bytes(RECORD))
    line, user = TlsLine(cast("TlsStream", stream)), User()
    line.begin(user)
    line.resume()
    while not line.is_clogged:
        with trio.move_on_after(1):
            await theirs.send_all(b"?")
        await settle()
    assert len(user.data) == stream.core.asked * RECORD
    await line.release()
    for end in (ours, theirs):
        await trio.aclose_forcefully(end)
