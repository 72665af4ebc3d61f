import weakref
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from trio.testing import check_two_way_stream, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from sottovoce.primitives import ApiMisuse
from sottovoce.transport import PqPolicy, RecordLayer, TlsCore, TlsError, TlsReason, TlsStream, TlsTruncated
from sottovoce.transport.limits import SEND_BYTES
from tests.transport.ends import Word, client, server
from tests.transport.streams import Pair, over, shaken

pytestmark = pytest.mark.usefixtures("each_word")


async def make_pair() -> Pair:
    return over(memory_stream_pair())


async def make_clogged_pair() -> Pair:
    return await shaken(lockstep_stream_pair())


@pytest.mark.parametrize("make", [make_pair, lambda: shaken(memory_stream_pair())], ids=["lazy", "shaken"])
async def test_trios_own_checks(make: Callable[[], Awaitable[Pair]]) -> None:
    await check_two_way_stream(make, make_clogged_pair)  # pyright: ignore[reportArgumentType]  # it wants a coroutine's type


async def test_trios_own_checks_with_the_ends_exchanged() -> None:
    async def swapped(make: Callable[[], Awaitable[Pair]]) -> Pair:
        first, second = await make()
        return second, first

    await check_two_way_stream(lambda: swapped(make_pair), lambda: swapped(make_clogged_pair))


async def test_the_core_tells_what_was_negotiated() -> None:
    ours, theirs = await shaken(memory_stream_pair())
    assert ours.core.group == theirs.core.group == "X25519MLKEM768"
    assert ours.core.exporter() == theirs.core.exporter()
    await ours.do_handshake()  # once more is nothing


async def test_the_first_calls_of_all_four_directions_shake_hands() -> None:
    ours, theirs = over(memory_stream_pair())
    heard: dict[str, bytes] = {}

    async def hear(name: str, end: TlsStream) -> None:
        heard[name] = await end.receive_some()

    with trio.testing.assert_checkpoints():
        async with trio.open_nursery() as nursery:
            for name, end in (("client", ours), ("server", theirs)):
                nursery.start_soon(hear, name, end)
                nursery.start_soon(end.send_all, name.encode())
    assert heard == {"client": b"server", "server": b"client"}


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_large_piece_arrives_whole(kind: type[bytes | bytearray | memoryview]) -> None:
    ours, theirs = await shaken(memory_stream_pair())
    data = bytes(range(256)) * (3 * SEND_BYTES // 256) + b"end"
    heard = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, kind(data))
        while len(heard) < len(data):
            heard += await theirs.receive_some(10_000)
    assert heard == data


async def test_what_does_not_fit_is_given_next_time() -> None:
    ours, theirs = await shaken(memory_stream_pair())
    await ours.send_all(b"hello")
    await ours.aclose()
    assert [await theirs.receive_some(2) for _ in range(4)] == [b"he", b"ll", b"o", b""]
    assert await theirs.receive_some() == b""
    with pytest.raises(ValueError, match="at least 1"):
        await theirs.receive_some(0)
    with pytest.raises(TypeError):
        await theirs.receive_some(1.5)  # type: ignore[arg-type]  # on purpose


async def test_a_clean_end_and_a_truncation() -> None:
    ours, theirs = await shaken(memory_stream_pair())
    await ours.send_all(b"last")
    await ours.aclose()
    assert [await theirs.receive_some(), await theirs.receive_some()] == [b"last", b""]

    ours, theirs = await shaken(memory_stream_pair())
    await ours.send_all(b"last")
    await ours.transport.aclose()
    assert await theirs.receive_some() == b"last"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError) as caught:
            await theirs.receive_some()
        assert isinstance(caught.value.__cause__, TlsTruncated)
    with pytest.raises(trio.BrokenResourceError) as caught:
        await theirs.send_all(b"x")
    assert isinstance(caught.value.__cause__, TlsTruncated)


async def test_a_refused_client_gets_the_alert() -> None:
    transport, raw = memory_stream_pair()
    ours = TlsStream(transport, client(PqPolicy.OFF))
    theirs = TlsStream(raw, server(PqPolicy.REQUIRE))
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            with pytest.raises(TlsError) as caught:
                await theirs.do_handshake()
            assert caught.value.reason is TlsReason.NO_COMMON_GROUP
            with pytest.raises(TlsError):
                await theirs.do_handshake()
            await theirs.aclose()

        nursery.start_soon(serve)
        with pytest.raises(TlsError) as told:
            await ours.do_handshake()
    assert (told.value.reason, told.value.alert) == (TlsReason.ALERT, 40)
    for call in (lambda: ours.send_all(b"x"), ours.receive_some):
        with pytest.raises(trio.BrokenResourceError) as caught:
            await call()
        assert caught.value.__cause__ is told.value


async def test_an_alert_that_nobody_takes_hides_nothing() -> None:
    transport, raw = memory_stream_pair()
    theirs = TlsStream(transport, server())
    await raw.send_all(b"GET / HTTP/1.1\r\n\r\n")
    await raw.aclose()
    with pytest.raises(TlsError) as caught:
        await theirs.do_handshake()
    assert caught.value.reason is TlsReason.NOT_TLS


async def test_a_transport_that_ends_or_breaks_in_the_handshake() -> None:
    ours, theirs = over(memory_stream_pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.transport.aclose)
        with pytest.raises(TlsTruncated):
            await theirs.do_handshake()
    ours, theirs = over(memory_stream_pair())
    await theirs.transport.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await ours.do_handshake()
    await ours.aclose()


async def test_a_changed_record_breaks_it() -> None:
    ours, theirs = await shaken(memory_stream_pair())
    ours.core.send(b"audio")
    record = bytearray(ours.core.to_send())
    record[-1] ^= 1
    await ours.transport.send_all(record)
    with pytest.raises(trio.BrokenResourceError, match="TLS failed") as caught:
        await theirs.receive_some()
    assert isinstance(caught.value.__cause__, TlsError)
    with pytest.raises(trio.BrokenResourceError, match="bad_record_mac"):
        await ours.receive_some()


async def test_a_server_can_be_only_sent_to() -> None:
    """Its tickets wait for its first data: written at once, they would stay in a full pipe."""
    ours, theirs = await shaken(lockstep_stream_pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"one way")
        assert await theirs.receive_some() == b"one way"


class OwingCore:
    """A core that owes an answer to what it receives, as to KeyUpdate, which our OpenSSL cannot be made to ask for."""

    def __init__(self, core: TlsCore, answer: bytes) -> None:
        self._core = core
        self._answer = answer
        self._owed = b""

    def receive(self, data: bytes) -> bytes:
        self._owed += self._answer
        return self._core.receive(data)

    def to_send(self) -> bytes:
        owed, self._owed = self._owed, b""
        return self._core.to_send() + owed

    def __getattr__(self, name: str) -> object:
        return getattr(self._core, name)


async def test_an_answer_that_tls_owes_is_written() -> None:
    ours, theirs = await shaken(memory_stream_pair())
    ours.core = OwingCore(ours.core, b"answer")  # type: ignore[assignment]  # a stand-in
    await theirs.send_all(b"hello")
    assert await ours.receive_some() == b"hello"
    assert await theirs.transport.receive_some() == b"answer"


async def test_a_peer_that_takes_no_answer_is_heard() -> None:
    ours, theirs = await shaken(memory_stream_pair())
    ours.core = OwingCore(ours.core, b"answer")  # type: ignore[assignment]  # a stand-in
    await theirs.send_all(b"hello")
    await theirs.aclose()
    assert await ours.receive_some() == b"hello"


async def test_an_answer_waits_for_a_write_in_its_middle() -> None:
    ours, theirs = await shaken(lockstep_stream_pair())
    ours.core = OwingCore(ours.core, b"answer")  # type: ignore[assignment]  # a stand-in
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"audio")
        await wait_all_tasks_blocked()
        nursery.start_soon(theirs.send_all, b"hello")
        nursery.start_soon(ours.receive_some)
        await wait_all_tasks_blocked()
        assert await theirs.receive_some() == b"audio"
        assert await theirs.transport.receive_some() == b"answer"


async def test_closing_wakes_a_task_in_the_middle_of_a_write() -> None:
    ours, theirs = await shaken(lockstep_stream_pair())
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ours.send_all(b"x")

        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        await ours.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await ours.do_handshake()
    await ours.aclose()
    await theirs.aclose()


async def test_a_reader_learns_of_a_write_that_was_cancelled() -> None:
    ours, _theirs = await shaken(lockstep_stream_pair())
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.BrokenResourceError, match="was cancelled"):
                await ours.receive_some()

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        with trio.move_on_after(0):
            await ours.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError, match="was cancelled"):
        await ours.send_all(b"x")


async def test_a_reader_learns_that_its_transport_was_closed_under_it() -> None:
    ours, _theirs = await shaken(memory_stream_pair())
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ours.receive_some()

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        await ours.transport.aclose()


async def test_once_closed_it_holds_nothing_of_openssl() -> None:
    """A call's objects know each other, so they wait for the garbage collector, which knows nothing of their weight."""
    ours, theirs = over(memory_stream_pair())
    assert ours.core._connection is not None
    connection = weakref.ref(ours.core._connection)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.do_handshake)
        nursery.start_soon(theirs.do_handshake)
    assert (connection() is None) is (Word.records is RecordLayer.OWN)
    await ours.aclose()
    assert connection() is None
    assert ours.core.handshake_complete
    assert ours.core.to_send() == b""
    with pytest.raises(ApiMisuse, match="released"):
        assert ours.core.group
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()
    await ours.aclose()
    assert await theirs.receive_some() == b""
