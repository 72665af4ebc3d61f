"""A proxy that runs while its anchor is replaced: whom it serves at each step, and a call that lives through it."""

import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio

from sottovoce.app.anchors import list_anchors
from sottovoce.client import AuthFailed, Call, TicketStore, Trust, connect, trust_from_directory
from sottovoce.identity import load_anchors
from tests.running import RunningProxy, copy_directory, running_proxy, sottovoce

pytestmark = [pytest.mark.interop(tool="softhsm2-util"), pytest.mark.protocol("P6.26", "P6.37", "P6.51")]
PATIENCE_SECONDS = 60.0
LATER = "tests.app.anchors.next_week"


@pytest.fixture
def directory(made_directory: Path, tmp_path: Path) -> Path:
    directory = copy_directory(made_directory, tmp_path)
    (directory / "sottovoce.toml").write_text('[listener]\naddress = "127.0.0.1:0"\n')
    return directory


class Callers:
    """Clients that hold the old file, both, the new one; each calls anew, without a ticket."""

    def __init__(self, proxy: RunningProxy, trust: Trust) -> None:
        self.proxy = proxy
        self.ca = trust.ca
        self.files = {"old": trust.anchors}

    def dial(self, file: str) -> AbstractAsyncContextManager[Call]:
        return connect(f"{self.proxy.url}/echo", anchor=self.files[file], ca=self.ca)

    async def who_gets_in(self) -> set[str]:
        inside: set[str] = set()
        for name in self.files:
            try:
                async with self.dial(name) as call:
                    await call.send(bytes(640))
                    await anext(call)
            except AuthFailed:
                continue
            inside.add(name)
        return inside


async def command(*words: str | Path) -> str:
    done = await trio.to_thread.run_sync(lambda: sottovoce(*words))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def reloaded(proxy: RunningProxy) -> str:
    """Send SIGHUP; give the anchor of the voice certificate that is served then."""
    before = len(proxy.events("voice_certificate.issued"))
    proxy.process.send_signal(signal.SIGHUP)
    while len(proxy.events("voice_certificate.issued")) == before:  # noqa: ASYNC110  another process writes it
        await trio.sleep(0.05)
    return proxy.events("voice_certificate.issued")[-1]["anchor"]


async def next_epochs(call: Call, proxy: RunningProxy, count: int) -> None:
    """Talk until the call was re-authenticated so often again."""
    while not proxy.events("session.established"):  # noqa: ASYNC110  another process writes it
        await trio.sleep(0.02)
    (first, *_) = proxy.events("session.established")

    def steps() -> list[bool]:
        events = proxy.events("session.rekeyed")
        return [each["reauthenticated"] for each in events if each["session"] == first["session"]]

    wanted = len(steps()) + count
    while len(steps()) < wanted:
        await call.send(bytes(640))
        await anext(call)
        await trio.sleep(0.02)
    assert all(steps())


async def test_nobody_is_cut_off_who_holds_both(directory: Path) -> None:
    sets = ("voice.epoch_seconds=2", "voice.reauthenticate_every=1", "log.level=debug")
    old = load_anchors(directory / "certs/anchor.json")
    with running_proxy(directory, *sets) as proxy, trio.fail_after(PATIENCE_SECONDS):
        callers = Callers(proxy, trust_from_directory(directory))
        async with callers.dial("old") as call:
            await next_epochs(call, proxy, 1)

            await command("anchor", "rotate", directory)
            both = load_anchors(directory / "certs/anchor.json")
            callers.files |= {"both": both, "new": both[1:]}
            assert both[:1] == old
            assert await reloaded(proxy) == old[0].anchor_id.hex()
            assert await callers.who_gets_in() == {"old", "both"}

            said = await command("anchor", "switch", directory)
            assert f"kill -HUP {proxy.pid}\n" in said
            assert await callers.who_gets_in() == {"old", "both"}, "until it is told"
            assert await reloaded(proxy) == both[1].anchor_id.hex()
            assert await callers.who_gets_in() == {"both", "new"}
            await next_epochs(call, proxy, 2)

            early = await trio.to_thread.run_sync(lambda: sottovoce("anchor", "retire", directory, "--yes"))
            assert early.returncode == 1
            assert "calls may run under certificates" in early.stderr
            await trio.run_process([sys.executable, "-m", LATER, "anchor", "retire", str(directory), "--yes"])
            assert load_anchors(directory / "certs/anchor.json") == both[1:]
            await next_epochs(call, proxy, 2)
            assert await callers.who_gets_in() == {"both", "new"}
            assert await reloaded(proxy) == both[1].anchor_id.hex()
            await next_epochs(call, proxy, 1)
        assert list_anchors(directory).anchors[0].is_issuing
        assert proxy.events("token.lost") == []
        logged = [await command("audit", "tail", directory, "-n", "1000")]
    assert [word for word in ("created", "switched", "retired") if f"anchor {word}" not in logged[0]] == []
    assert sottovoce("audit", "verify", directory).returncode == 0
    with running_proxy(directory) as proxy:
        fresh = Callers(proxy, trust_from_directory(directory))
        fresh.files = callers.files
        assert await fresh.who_gets_in() == {"both", "new"}


async def test_a_ticket_of_the_old_anchor_is_good_as_long_as_its_certificates_are(directory: Path) -> None:
    """The client comes again with the ticket of its call, and its steps are signed under the anchor that it knows."""
    tickets = TicketStore()

    async def is_resumed(proxy: RunningProxy, trust: Trust) -> bool:
        async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, tickets=tickets) as call:
            await call.send(bytes(640))
            await anext(call)
            return call.statistics.is_resumed

    with running_proxy(directory) as proxy, trio.fail_after(PATIENCE_SECONDS):
        await command("anchor", "rotate", directory)
        trust = trust_from_directory(directory)
        assert [await is_resumed(proxy, trust) for _ in range(2)] == [False, True]
        await command("anchor", "switch", directory)
        await reloaded(proxy)
        assert [await is_resumed(proxy, trust) for _ in range(2)] == [True, True]
