"""The token process is killed again and again under a load of handshakes: no call notices, no key is lost."""

import hashlib
import os
import random
import signal
from pathlib import Path

import pytest
import trio

from sottovoce.app.token_process import COMMAND
from tests.running import RunningProxy, running_proxy, sottovoce
from tests.shows.calls import calling, next_frame
from tests.shows.storm import Storm, TellingKem

pytestmark = pytest.mark.interop(tool="softhsm2-util")


async def test_no_call_fails_while_it_is_killed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await killed(directory, monkeypatch, kills=20, in_flight=10)


@pytest.mark.soak
async def test_no_call_fails_however_often_it_is_killed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await killed(directory, monkeypatch, kills=200, in_flight=100)


async def killed(directory: Path, monkeypatch: pytest.MonkeyPatch, *, kills: int, in_flight: int) -> None:
    keys_before = key_files(directory)
    with running_proxy(directory) as proxy:
        storm = Storm(proxy, seed=kills)
        monkeypatch.setattr(TellingKem, "storm", storm, raising=False)
        monkeypatch.setattr("sottovoce.client.shell.standing.SystemKem", TellingKem)
        await storm.run(kills=kills, in_flight=in_flight)
    assert storm.failures == []
    assert storm.calls_made > kills
    assert len(storm.killed_at) >= kills
    assert storm.kills_in_flight >= in_flight
    away = zip(storm.away_seconds, storm.queued_seconds, strict=True)
    assert max(seconds - queued for seconds, queued in away) <= 2.0, "other programs' use of the machine left out"
    assert not proxy.events("signature.dropped")
    assert token_processes_of(proxy) == []
    assert key_files(directory) == keys_before
    assert sottovoce("audit", "verify", directory).returncode == 0
    with running_proxy(directory) as again:
        async with calling(again) as call:
            await call.send(b"again" * 128)
            assert await next_frame(call) == b"again" * 128


def key_files(directory: Path) -> dict[str, str]:
    """Digests of everything that is a key or leads to one, but for the file in which SoftHSM notes each login."""
    folders = ("keys", "secrets", "certs", "hsm/tokens")
    files = [
        file
        for folder in folders
        for file in (directory / folder).rglob("*")
        if file.is_file() and file.name != "token.object"
    ]
    assert len(files) > 10
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def token_processes_of(proxy: RunningProxy) -> list[int]:
    """Processes that were started as this proxy's token process and are still there."""
    ours = (COMMAND[-1].encode(), str(proxy.pid).encode())
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has just ended
        if ours[0] in words and ours[1] in words:
            found.append(int(process.name))
    return found


async def test_killed_again_and_again_while_it_starts_it_comes_up_in_the_end(directory: Path) -> None:
    chance = random.Random(5)  # noqa: S311  instants to kill at
    keys_before = key_files(directory)
    with running_proxy(directory) as proxy:
        for _ in range(40):
            for pid in token_processes_of(proxy):
                os.kill(pid, signal.SIGKILL)
            if "while it started" in " ".join(event["reason"] for event in proxy.events("token.lost")):
                break
            await trio.sleep(chance.uniform(0.02, 0.2))
        async with calling(proxy) as call:
            await call.send(bytes(640))
            assert await next_frame(call) == bytes(640)
    assert "while it started" in " ".join(event["reason"] for event in proxy.events("token.lost"))
    assert token_processes_of(proxy) == []
    assert key_files(directory) == keys_before


def test_a_token_process_killed_in_the_middle_of_its_login_loses_no_key(directory: Path) -> None:
    """SoftHSM writes its token's file at each login, and is killed between the two calls of that: the file is empty."""
    with running_proxy(directory):
        pass
    (own_file,) = (directory / "hsm/tokens").glob("*/token.object")
    own_file.write_bytes(b"")
    with running_proxy(directory) as proxy:
        assert proxy.events("proxy.ready")
    assert own_file.stat().st_size > 0
