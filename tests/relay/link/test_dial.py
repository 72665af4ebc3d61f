"""Dialling a backend: what it is asked, how it may answer, when it is asked again, and that nothing is left open."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from sottovoce.relay import BackendDown, BackendFault
from sottovoce.relay.link import Dialer, Link
from sottovoce.transport import PeerClosed, TextMessage, TlsError, TlsReason
from tests.relay.backend import ADDRESS, AUTHORITY, Backend, Network, dialer
from tests.relay.steps import cancelled_at_each_step

Behaviour = Callable[[Backend], Awaitable[object]]


async def dial(behave: Behaviour, network: Network, *, attempts: int = 1, timeout_seconds: float = 2.0) -> Link:
    """Dial backends that behave so, each of them."""

    async def serve() -> None:
        while True:
            nursery.start_soon(behave, await network.backend())

    outcome: Link | BackendDown
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        try:
            outcome = await dialer(network, attempts=attempts, timeout_seconds=timeout_seconds).dial()
        except BackendDown as down:
            outcome = down
        nursery.cancel_scope.cancel()
    if isinstance(outcome, BackendDown):
        raise outcome
    return outcome


async def fault_of(
    behave: Behaviour, network: Network, *, attempts: int = 1, timeout_seconds: float = 2.0
) -> BackendDown:
    with pytest.raises(BackendDown) as caught:
        await dial(behave, network, attempts=attempts, timeout_seconds=timeout_seconds)
    assert network.open_streams == 0
    assert caught.value.detail.startswith(f"{AUTHORITY}: ")
    assert "\n" not in str(caught.value)
    return caught.value


async def accept(backend: Backend) -> None:
    await backend.asked()
    backend.websocket.accept(None)
    await backend.flush()


async def ignore(backend: Backend) -> None:
    await backend.until_end()


async def test_the_request_is_the_urls_and_offers_nothing(autojump_clock: MockClock) -> None:
    requests = []

    async def take(backend: Backend) -> None:
        requests.append(await backend.asked())
        backend.websocket.accept(None)
        await backend.flush()

    link = await dial(take, Network())
    assert link.framing.is_open
    assert link.early == []
    (request,) = requests
    assert request.target == b"/calls?lang=en"
    assert request.authority == AUTHORITY.encode()
    assert request.subprotocols == ()
    assert request.header("sec-websocket-extensions") == ()
    assert request.origin is None


async def test_an_answer_in_pieces_with_messages_right_behind_it(autojump_clock: MockClock) -> None:
    async def eager(backend: Backend) -> None:
        await backend.asked()
        backend.websocket.accept(None)
        backend.put("early", b"audio")
        answer = backend.websocket.to_send()
        for at in range(len(answer) - 20):
            await backend.stream.send_all(answer[at : at + 1])
        await backend.stream.send_all(answer[-20:])

    assert (await dial(eager, Network())).early == [TextMessage("early"), b"audio"]


async def test_a_close_right_behind_the_answer_is_no_failed_attempt(autojump_clock: MockClock) -> None:
    async def shy(backend: Backend) -> None:
        await backend.asked()
        backend.websocket.accept(None)
        await backend.close(1013)

    assert (await dial(shy, Network())).early == [PeerClosed(1013, "")]


async def refuse(backend: Backend) -> None:
    await backend.asked()
    backend.websocket.refuse(503, "busy")
    await backend.flush()


def accept_with(header: bytes) -> Behaviour:
    async def answer(backend: Backend) -> None:
        await backend.asked()
        backend.websocket.accept(None)
        response = backend.websocket.to_send()
        await backend.stream.send_all(response.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"))

    return answer


def say(answer: bytes) -> Behaviour:
    async def say_it(backend: Backend) -> None:
        await backend.asked()
        await backend.stream.send_all(answer)
        await backend.until_end()

    return say_it


@pytest.mark.parametrize(
    ("behave", "word"),
    [
        (refuse, "503"),
        (accept_with(b"Sec-WebSocket-Protocol: sottovoce.v1"), "subprotocol"),
        (accept_with(b"Sec-WebSocket-Extensions: permessage-deflate"), "extension"),
        (say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), "response"),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "not HTTP"),
        (say(b"HTTP/1.1 101 x\r\nA: " + b"a" * 20_000), "head"),
    ],
)
async def test_an_answer_that_is_no_plain_upgrade(autojump_clock: MockClock, behave: Behaviour, word: str) -> None:
    down = await fault_of(behave, Network())
    assert down.fault is BackendFault.REFUSED
    assert word in down.detail


async def test_it_closes_instead_of_answering(autojump_clock: MockClock) -> None:
    async def hang_up(backend: Backend) -> None:
        await backend.asked()
        await backend.stream.send_all(b"HTTP/1.1 10")
        await backend.stream.aclose()

    down = await fault_of(hang_up, Network())
    assert down.fault is BackendFault.UNREACHABLE
    assert "closed the connection" in down.detail


async def test_an_attempt_has_one_timeout_for_everything(autojump_clock: MockClock) -> None:
    network = Network()
    before = trio.current_time()
    down = await fault_of(ignore, network, timeout_seconds=1.5)
    assert down.fault is BackendFault.UNREACHABLE
    assert "no answer in 1.5 s" in down.detail
    assert trio.current_time() - before == pytest.approx(1.5)


async def test_a_drip_of_bytes_does_not_stretch_it(autojump_clock: MockClock) -> None:
    async def drip(backend: Backend) -> None:
        with suppress(trio.BrokenResourceError):
            while True:
                await trio.sleep(0.5)
                await backend.stream.send_all(b"H")

    before = trio.current_time()
    await fault_of(drip, Network(), timeout_seconds=2)
    assert trio.current_time() - before == pytest.approx(2)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("Connection refused"), "Connection refused"),
        (TlsError(TlsReason.ALERT, "the peer ended TLS"), "the peer ended TLS"),
        (trio.BrokenResourceError(), "the connection broke"),
        (OSError("two\nlines\x1b[2J"), r"two?lines?[2J"),
    ],
)
async def test_no_connection(autojump_clock: MockClock, error: Exception, words: str) -> None:
    async def fail() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise error

    with pytest.raises(BackendDown) as caught:
        await Dialer(ADDRESS, fail, attempts=1, timeout_seconds=1).dial()
    assert caught.value.fault is BackendFault.UNREACHABLE
    assert caught.value.detail == f"{AUTHORITY}: {words}"


async def test_it_is_asked_again_after_growing_pauses(autojump_clock: MockClock) -> None:
    times: list[float] = []

    async def fail() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        times.append(trio.current_time())
        raise OSError("down")

    with pytest.raises(BackendDown):
        await Dialer(ADDRESS, fail, attempts=7, timeout_seconds=1).dial()
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


async def test_a_later_attempt_may_succeed_and_the_failed_ones_are_closed(autojump_clock: MockClock) -> None:
    network = Network()

    async def busy_at_first(backend: Backend) -> None:
        await (refuse if len(network.streams) < 3 else accept)(backend)

    link = await dial(busy_at_first, network, attempts=3)
    assert [stream.closed for stream in network.streams] == [True, True, False]
    assert link.stream is network.streams[-1]


async def test_the_last_attempts_fault_is_told(autojump_clock: MockClock) -> None:
    network = Network()

    async def refuse_then_hang(backend: Backend) -> None:
        await (refuse if len(network.streams) < 2 else ignore)(backend)

    assert (await fault_of(refuse_then_hang, network, attempts=2)).fault is BackendFault.UNREACHABLE


async def test_cancelled_at_any_step_it_leaves_no_socket(autojump_clock: MockClock) -> None:
    network = Network()
    links: list[Link] = []

    async def busy_twice(backend: Backend) -> None:
        with suppress(trio.BrokenResourceError):
            await (refuse if len(network.streams) - first < 3 else accept)(backend)

    async def once() -> None:
        links.append(await dialer(network, attempts=3).dial())

    async def serve() -> None:
        while True:
            nursery.start_soon(busy_twice, await network.backend())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        first, steps = 0, 0
        async for was_cancelled in cancelled_at_each_step(once):
            steps += 1
            assert network.open_streams == len(links)
            assert was_cancelled != bool(links)
            first = len(network.streams)
        nursery.cancel_scope.cancel()
    assert steps > 10
