"""A client is revoked while many talk: its calls end within a second, nobody else's do, and it cannot call again."""

import time
from pathlib import Path

import pytest
import trio

from sottovoce.client import AuthFailed
from tests.running import RunningProxy, running_proxy, sottovoce
from tests.shows.calls import PATIENCE, calling
from tests.shows.talkers import Talker, hanging_up

pytestmark = pytest.mark.interop(tool="softhsm2-util")
CALLS = 10
"""Of each of the two clients."""
WITHIN_SECONDS = 1.0
EXPIRED = 4408
"""What a session is told whose credential is no longer good (docs/protocol.md §4)."""


async def command(*words: str | Path) -> None:
    done = await trio.to_thread.run_sync(lambda: sottovoce(*words))
    assert done.returncode == 0, done.stderr


async def hear(proxy: RunningProxy, token: Path) -> None:
    async with calling(proxy, token=token) as call:
        async for _ in call:
            pass


async def test_revoking_a_client_ends_its_calls_and_nobody_elses(directory: Path) -> None:
    with running_proxy(directory, "clients.require_credential=true") as proxy:
        tokens: dict[str, Path] = {}
        for name in ("kiosk-7", "kiosk-8"):
            tokens[name] = directory.with_name(f"{name}.token")
            audience = ("--audience", f"localhost:{proxy.port}")
            await command("clients", "add", directory, name, "--token", *audience, "--out", tokens[name])
        talkers = {name: [Talker() for _ in range(CALLS)] for name in tokens}
        async with hanging_up() as nursery:
            for name, token in tokens.items():
                for talker in talkers[name]:
                    with trio.fail_after(PATIENCE):
                        await nursery.start(talker.run, calling(proxy, token=token))
            await command("clients", "revoke", directory, "kiosk-7")
            revoked_at = trio.current_time() - (time.time() - (directory / "clients.toml").stat().st_mtime)
            with trio.fail_after(PATIENCE):
                for talker in talkers["kiosk-7"]:
                    await talker.ended.wait()
            heard = [len(talker.returned) for talker in talkers["kiosk-8"]]
            with trio.fail_after(PATIENCE), pytest.raises(AuthFailed):
                await hear(proxy, tokens["kiosk-7"])
            await trio.sleep(0.5)
            still = talkers["kiosk-8"]
            assert [talker.failure for talker in still] == [None] * CALLS
            assert all(len(talker.returned) > before for talker, before in zip(still, heard, strict=True))
        ended = [event for event in proxy.events("session.ended") if event["code"] == EXPIRED]
    assert [talker.code for talker in talkers["kiosk-7"]] == [EXPIRED] * CALLS
    assert len(ended) == CALLS
    assert max(talker.ended_at for talker in talkers["kiosk-7"]) - revoked_at <= WITHIN_SECONDS
