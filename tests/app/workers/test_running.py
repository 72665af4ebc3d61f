"""A supervisor and two workers, as they are run: what happens to one of them, and what becomes of calls."""

import http.client
import json
import os
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from sottovoce.client import TicketStore
from sottovoce.primitives import Secret
from sottovoce.session import HANDSHAKE_SECONDS, Carriage, ClientTicket
from tests.app.directories import made_directory
from tests.app.workers.hearing import Ear
from tests.app.workers.talking import PATIENCE, Talker, talkers, until_event
from tests.running import RunningProxy, copy_directory, environment, running_proxy, sottovoce
from tests.shows.calls import calling, next_frame

__all__ = ["made_directory"]

pytestmark = pytest.mark.interop(tool="softhsm2-util")
TEXT = '[listener]\naddress = "127.0.0.1:0"\n[process]\nworkers = 2\ndrain_seconds = 0.3\n'
TEXT += "[voice]\nqueue_frames = 1000\n"  # nobody's frame is lost where a worker stands still, on a busy machine


@pytest.fixture
def directory(made_directory: Path, tmp_path: Path) -> Path:
    directory = copy_directory(made_directory, tmp_path)
    (directory / "sottovoce.toml").write_text(TEXT)
    return directory


def status_of(proxy: RunningProxy) -> dict[str, Any]:
    connection = http.client.HTTPConnection(proxy.admin.removeprefix("http://"), timeout=PATIENCE)
    try:
        connection.request("GET", "/status")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def worker_of(proxy: RunningProxy, since: int) -> list[int]:
    """Which workers have the calls that were begun after so many."""
    return [event["worker"] for event in proxy.events("session.established")[since:]]


async def changed(proxy: RunningProxy, text: str, event: str) -> None:
    before = len(proxy.events(event))
    (proxy.directory / "sottovoce.toml").write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    await until_event(proxy, event, before + 1)


async def one_call(proxy: RunningProxy) -> Talker:
    """A short call of its own."""
    async with talkers(proxy, 1) as (talker,):
        await talker.hang_up()
    return talker


def away_seconds(proxy: RunningProxy) -> float:
    """For how long nobody could sign in an upgrade."""
    moments = {event["event"]: datetime.fromisoformat(event["time"]) for event in proxy.events()}
    return (moments["voice_certificate.issued"] - moments["replacement.begun"]).total_seconds()


def was_refused(caller: Talker, away: float) -> bool:
    """Whether a call in an upgrade failed, other than by waiting for as long as it may where nobody could sign."""
    waited_in_vain = away > HANDSHAKE_SECONDS <= caller.lasted_seconds
    return not (caller.is_whole or waited_in_vain)


class Copied(TicketStore):
    """Offers its first ticket in every call, which no honest client does."""

    kept: ClientTicket | None = None

    def put(self, owner: bytes, ticket: ClientTicket, now: float) -> None:
        self.kept = self.kept or ticket

    def take(self, owner: bytes, carriage: Carriage, suites: object, now: float) -> ClientTicket | None:
        if self.kept is None:
            return None
        psk = Secret.take("psk", self.kept.psk.copy_for_sealing())
        return msgspec.structs.replace(self.kept, psk=psk)


async def resumed(proxy: RunningProxy, tickets: TicketStore, counts: list[int]) -> None:
    async with calling(proxy, tickets=tickets) as call:
        counts.append(call.statistics.is_resumed)
        await call.send(bytes(640))
        await next_frame(call)


@pytest.mark.protocol("P11.27")
async def test_a_ticket_that_is_shown_to_both_at_once_is_taken_once(directory: Path) -> None:
    counts: list[int] = []
    with running_proxy(directory) as proxy, Copied() as tickets:
        with trio.fail_after(PATIENCE):
            await resumed(proxy, tickets, counts)
            while tickets.kept is None:  # noqa: ASYNC110  it comes behind the handshake
                await trio.sleep(0.01)
            while set(worker_of(proxy, 1)) != {0, 1}:  # the kernel shares them out by chance
                async with trio.open_nursery() as nursery:
                    for _ in range(12):
                        nursery.start_soon(resumed, proxy, tickets, counts)
    assert sum(counts) == 1


async def test_one_of_two_is_killed_and_a_configuration_comes_while_people_talk(directory: Path) -> None:
    with running_proxy(directory) as proxy:
        async with talkers(proxy, 8) as talking:
            at = worker_of(proxy, 0)
            assert len(at) == len(talking)
            await changed(proxy, f'{TEXT}[routes.echo]\nadapter = "ehco"\n', "configuration.refused")
            text = f'{TEXT}[routes.echo]\nadapter = "echo"\n[routes.second]\nadapter = "echo"\n'
            await changed(proxy, text, "configuration.loaded")
            await until_event(proxy, "leaf.issued", 2)
            assert not any(each.over.is_set() for each in talking), "nobody noticed either"

            killed = at[0]
            pid = next(each["pid"] for each in proxy.events("worker.started") if each["worker"] == killed)
            os.kill(pid, signal.SIGKILL)
            await until_event(proxy, "worker.lost")
            during = [await one_call(proxy) for _ in range(6)]
            assert all(each.is_whole for each in during), "the other one accepts for it"
            await until_event(proxy, "worker.started", 3)
            status = await trio.to_thread.run_sync(status_of, proxy)
            for talker in talking:
                await talker.hang_up()
        assert {each["worker"] for each in status["workers"]["each"]} == {0, 1}
        assert (status["state"], status["workers"]["restarts"]) == ("healthy", 1)
        assert [each["severity"] for each in status["concerns"]] == ["notice"]
        lost = [talker for talker in talking if not talker.is_whole]
        assert len(lost) == at.count(killed), "its calls, and no other's"
        assert proxy.stop() == 0
    assert proxy.events("proxy.stopped")[0]["batches_served"] >= 1
    assert proxy.events("task.crashed") == []
    assert sottovoce("audit", "verify", directory).returncode == 0


def was_fed_before_it_had_workers(proxy: RunningProxy, ear: Ear) -> bool:
    """Whether the new program says that it lives as soon as it does: once, since its watchdog has an hour."""
    begun, first = (
        datetime.fromisoformat(proxy.events(name)[place]["time"])
        for name, place in (("replacement.begun", 0), ("worker.started", 2))
    )
    said = [each.said for each in ear.heard() if begun < each.at < first and each.said.startswith("WATCHDOG")]
    return said == ["WATCHDOG=1"] * 2  # of the old one at its end, and of the new one


async def test_it_becomes_a_newer_one_while_people_talk_and_is_killed_at_last(directory: Path, tmp_path: Path) -> None:
    ear = Ear(tmp_path)
    env = environment(NOTIFY_SOCKET=ear.path, WATCHDOG_USEC="3600000000")
    with ear.socket, running_proxy(directory, env=env) as proxy:
        (before,) = proxy.events("proxy.ready")
        async with talkers(proxy, 4) as talking:
            (directory / "sottovoce.toml").write_text(f'{TEXT}[routes.echo]\nadapter = "ehco"\n')
            proxy.process.send_signal(signal.SIGUSR2)
            (refused,) = await until_event(proxy, "replacement.refused")
            assert "routes.echo.adapter" in str(refused["reason"])
            (directory / "sottovoce.toml").write_text(TEXT)
            proxy.process.send_signal(signal.SIGUSR2)
            await until_event(proxy, "replacement.begun")
            callers: list[Talker] = []
            with trio.fail_after(PATIENCE):
                while not proxy.events("replacement.done"):
                    callers.append(await one_call(proxy))
            callers.append(await one_call(proxy))
            assert was_fed_before_it_had_workers(proxy, ear)
            assert not any(was_refused(each, away_seconds(proxy)) for each in callers)
            assert callers[-1].is_whole
            old, new = (proxy.events("proxy.ready")[place] for place in (0, -1))
            assert (old["pid"], old["addresses"], old["admin"]) == (new["pid"], new["addresses"], new["admin"])
            assert before == old
            status = await trio.to_thread.run_sync(status_of, proxy)
            states = [each["state"] for each in status["workers"]["each"]]
            assert states.count("serving") == 2
            assert "draining" in states, "at least one of the old ones has calls"
            for talker in talking:
                await talker.hang_up()
            assert all(talker.is_whole for talker in talking), "they went on in the old workers"
            await until_event(proxy, "worker.ended", 2)
        second = copy_directory(directory, tmp_path, "second")
        sets = (f"listener.address=127.0.0.1:{proxy.port}", "admin.address=127.0.0.1:0")
        ran = sottovoce("serve", second, *(word for each in sets for word in ("--set", each)))
        assert ran.returncode == 1
        assert "listener.address" in ran.stderr
        workers = [each["pid"] for each in proxy.events("worker.started")[-2:]]
        ends = [os.pidfd_open(int(pid)) for pid in workers]
        async with talkers(proxy, 1) as (talker,):
            proxy.stop(signal.SIGKILL)
            with trio.fail_after(PATIENCE):
                await talker.over.wait()
                for end in ends:
                    await trio.lowlevel.wait_readable(end)
                    os.close(end)
        assert "4460" in talker.error, "its worker sent it away before it ended"
        assert len(proxy.events("supervisor.lost")) == 2
