"""Three tokens, some of which go: calls go on as long as one is up, and what comes back serves without a restart.

Each loss is made while calls come at a steady rate; each call is whole: handshake, a frame there and back, a good end.
"""

import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from sottovoce.admin import Status, ask_status
from sottovoce.client import CallError
from sottovoce.session import HANDSHAKE_SECONDS
from tests.running import RunningProxy, running_proxy, sottovoce
from tests.shows.calls import PATIENCE, calling, next_frame
from tests.shows.orders import SOCKET, order

pytestmark = pytest.mark.interop(tool="softhsm2-util")
_LOOK_SECONDS = 0.05
_PER_SECOND = 10


class Load:
    """Calls that came, and what went wrong with them."""

    def __init__(self, proxy: RunningProxy) -> None:
        self.proxy = proxy
        self.made = 0
        self.failures: list[str] = []

    async def call(self) -> None:
        self.made += 1
        frame = self.made.to_bytes(640)
        try:
            async with calling(self.proxy) as call:
                await call.send(frame)
                if await next_frame(call) != frame:
                    self.failures.append("another frame came back")
        except (CallError, AssertionError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")

    async def go_on(self, calls: int = 5) -> None:
        """Wait until so many more calls have been made."""
        wanted = self.made + calls
        await until(lambda: self.made >= wanted)


@asynccontextmanager
async def calls_to(proxy: RunningProxy) -> AsyncGenerator[Load]:
    """Have calls come until the block ends, and wait for the last of them; none may fail."""
    load, is_over = Load(proxy), trio.CancelScope()

    async def come(nursery: trio.Nursery) -> None:
        with is_over:
            while True:
                nursery.start_soon(load.call)
                await trio.sleep(1 / _PER_SECOND)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come, nursery)
        await load.go_on(1)
        yield load
        is_over.cancel()
    assert load.failures == []


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE):
        while not holds():  # noqa: ASYNC110  another process makes it hold: no event
            await trio.sleep(_LOOK_SECONDS)


def pid_of(proxy: RunningProxy, node: str) -> int:
    return next(event["pid"] for event in reversed(proxy.events("token.started")) if event["node"] == node)


def times(proxy: RunningProxy, event: str, node: str) -> int:
    return sum(each["node"] == node for each in proxy.events(event))


async def all_up(proxy: RunningProxy) -> None:
    await until(lambda: all(times(proxy, "token.started", node) for node in "abc"))


async def asked(proxy: RunningProxy) -> Status:
    return await trio.to_thread.run_sync(ask_status, proxy.admin)


async def ready_code(proxy: RunningProxy) -> int:
    def ask() -> int:
        try:
            with urllib.request.urlopen(f"{proxy.admin}/readyz") as answer:  # noqa: S310  loopback
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    return await trio.to_thread.run_sync(ask)


def moved_away(proxy: RunningProxy, node: str) -> Callable[[], object]:
    """Take a token's directory away and end its process; gives what puts the directory back."""
    place, elsewhere = proxy.directory / "hsm" / node, proxy.directory / f"elsewhere-{node}"
    place.rename(elsewhere)
    os.kill(pid_of(proxy, node), signal.SIGKILL)
    return lambda: elsewhere.rename(place)


async def test_no_call_fails_while_each_token_is_killed_in_turn(three: Path) -> None:
    with running_proxy(three) as proxy:
        await all_up(proxy)
        async with calls_to(proxy) as load:
            for node in "abcabc":
                starts = times(proxy, "token.started", node)
                os.kill(pid_of(proxy, node), signal.SIGKILL)
                await until(lambda: times(proxy, "token.started", node) > starts)  # noqa: B023  awaited at once
                await load.go_on()
        status = await asked(proxy)
    assert [each.replacements for each in status.hsm.tokens] == [2, 2, 2]
    assert not proxy.events("signature.dropped")


@pytest.mark.parametrize("node", ["a", "c"])
async def test_no_call_fails_while_a_token_hangs(three: Path, node: str) -> None:
    """Whether calls are at it or none is: then it is asked for a sign of life now and then, and missed."""
    with running_proxy(three) as proxy:
        await all_up(proxy)
        async with calls_to(proxy) as load:
            os.kill(pid_of(proxy, node), signal.SIGSTOP)
            await until(lambda: times(proxy, "token.started", node) == 2)
            await load.go_on()
    assert not proxy.events("signature.dropped")


async def test_a_token_whose_directory_is_gone_is_named_and_comes_back_by_itself(three: Path) -> None:
    with running_proxy(three) as proxy:
        await all_up(proxy)
        async with calls_to(proxy) as load:
            put_back = moved_away(proxy, "b")
            await until(lambda: times(proxy, "token.lost", "b") >= 2)
            status = await asked(proxy)
            assert (status.state, [each.cause for each in status.concerns]) == ("degraded", ["hsm.b"])
            assert [(each.name, each.state) for each in status.hsm.tokens] == [("a", "up"), ("b", "down"), ("c", "up")]
            assert await ready_code(proxy) == 200
            said = await trio.to_thread.run_sync(sottovoce, "status", proxy.admin)
            assert said.returncode == 3
            assert "hsm 2 of 3 up" in said.stdout
            await load.go_on()
            put_back()
            await until(lambda: times(proxy, "token.started", "b") == 2)
            await load.go_on()
        assert (await asked(proxy)).state == "healthy"


async def test_calls_go_on_with_one_of_three_and_are_refused_with_none_until_one_is_back(three: Path) -> None:
    """Keys are used all the while, and made where two are up, as the quorum says: refused with its own error else."""
    limits = "listener.handshake_seconds=3"
    with running_proxy(three, limits, program="tests.shows.tokens.making") as proxy:
        await all_up(proxy)
        await until((three / SOCKET).exists)
        assert await order(three, b"make key/one") == "a b c"
        async with calls_to(proxy) as load:
            put_back = [moved_away(proxy, node) for node in "ab"]
            await until(lambda: all(times(proxy, "token.lost", node) >= 2 for node in "ab"))
            status = await asked(proxy)
            (concern,) = status.concerns
            assert (concern.severity, concern.cause) == ("degraded", "hsm")
            assert concern.what.startswith("1 of 3 tokens is up, too few for a new key, which needs 2: a down since")
            refused = await order(three, b"make key/two")
            assert refused.startswith("QuorumMissing: making key/two takes 2 tokens, 1 are up (a: ")
            assert await order(three, b"sign key/one") == "c"
            await load.go_on()
        put_back.append(moved_away(proxy, "c"))
        await until(lambda: times(proxy, "token.lost", "c") >= 2)
        assert await ready_code(proxy) == 503
        assert (await asked(proxy)).readiness.reasons == ("hsm_down",)
        await refused_in_time(proxy, 3 + HANDSHAKE_SECONDS)
        put_back[1]()
        await until(lambda: times(proxy, "token.started", "b") == 2)
        assert await ready_code(proxy) == 200
        async with calls_to(proxy) as load:
            await load.go_on()
        put_back[0]()
        put_back[2]()
        await until(lambda: all(times(proxy, "token.started", node) == 2 for node in "abc"))
        assert (await asked(proxy)).state == "healthy"
        assert await order(three, b"make key/two") == "a b c"


async def refused_in_time(proxy: RunningProxy, seconds: float) -> None:
    """See that a call is refused before its two handshakes' time is over."""
    alone = Load(proxy)
    began = trio.current_time()
    with trio.fail_after(PATIENCE):
        await alone.call()
    assert len(alone.failures) == 1
    assert trio.current_time() - began <= seconds


async def test_it_starts_without_a_token_that_cannot_be_had(three: Path) -> None:
    (three / "secrets/a.pin").write_text("not its PIN\n")
    (three / "hsm/b").rename(three / "elsewhere")
    with running_proxy(three) as proxy:
        async with calls_to(proxy) as load:
            await load.go_on()
        await until(lambda: times(proxy, "token.lost", "a") > 0)
        status = await asked(proxy)
        assert [(each.name, each.state) for each in status.hsm.tokens] == [
            ("a", "locked"),
            ("b", "down"),
            ("c", "up"),
        ]
        assert status.concerns[0].remedy == "put the right PIN into hsm.nodes.a.pin_file, then start the proxy anew"
