"""A running proxy that is told something else."""

import hashlib
import signal
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.app.checking import CheckReport
from sottovoce.app.serving import lifetime
from sottovoce.app.serving.parts import Parts
from sottovoce.app.serving.reload import settle
from sottovoce.client import (
    AuthFailed,
    Call,
    ConnectFailed,
    PolicyRefused,
    SessionExpired,
    connect,
    trust_from_directory,
)
from sottovoce.hsm import HsmError
from sottovoce.settings import build
from tests.running import RunningProxy, copy_directory, running_proxy

PATIENCE_SECONDS = 60.0
TEXT = '[listener]\naddress = "127.0.0.1:0"\n'


def test_what_a_start_settles_stays_and_is_named() -> None:
    running = build({"listener": {"address": "127.0.0.1:1"}, "listeners": {"old": {"address": "127.0.0.1:2"}}})
    fresh = build(
        {
            "listener": {"address": "127.0.0.1:3", "max_connections": 7},
            "listeners": {"new": {"address": "127.0.0.1:4"}},
            "hsm": {"deadline_seconds": 9},
            "process": {"ready_file": "other", "drain_seconds": 1},
            "voice": {"epoch_seconds": 9},
            "routes": {"other": {"adapter": "echo"}},
        }
    )
    settled, waiting = settle(running, fresh)
    assert waiting == ("hsm", "process.ready_file", "listeners.new", "listeners.old", "listener.address")
    assert (settled.listener.address, settled.listener.max_connections) == ("127.0.0.1:1", 7)
    assert settled.listeners == running.listeners
    assert settled.hsm == running.hsm
    assert (settled.process.ready_file, settled.process.drain_seconds) == (running.process.ready_file, 1)
    assert (settled.voice, settled.routes) == (fresh.voice, fresh.routes)
    assert settle(running, running) == (running, ())


@pytest.fixture
def directory(made_directory: Path, tmp_path: Path) -> Path:
    directory = copy_directory(made_directory, tmp_path)
    (directory / "sottovoce.toml").write_text(TEXT)
    return directory


def told(proxy: RunningProxy, text: str, event: str) -> dict[str, Any]:
    """Write a configuration, send SIGHUP, wait for one more event of that name."""
    before = len(proxy.events(event))
    (proxy.directory / "sottovoce.toml").write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while len(proxy.events(event)) == before:
        assert time.monotonic() < give_up_at, proxy.log.read_text()
        time.sleep(0.02)
    return proxy.events(event)[-1]


@pytest.mark.interop(tool="softhsm2-util")
async def test_a_new_route_is_there_a_running_call_goes_on_and_certificates_are_new(directory: Path) -> None:
    trust = trust_from_directory(directory)
    with running_proxy(directory) as proxy, trio.fail_after(PATIENCE_SECONDS):
        with pytest.raises(ConnectFailed):
            async with connect(f"{proxy.url}/second", anchor=trust.anchors, ca=trust.ca):
                pass
        async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca) as call:
            text = TEXT + '[routes.echo]\nadapter = "echo"\n[routes.second]\nadapter = "echo"\n'
            loaded = await trio.to_thread.run_sync(told, proxy, text, "configuration.loaded")
            assert loaded["routes"] == ["echo", "second"]
            await call.send(bytes(640))
            await anext(call)
            async with connect(f"{proxy.url}/second", anchor=trust.anchors, ca=trust.ca) as other:
                await other.send(bytes(640))
                await anext(other)
        while not (len(proxy.events("leaf.issued")) == len(proxy.events("voice_certificate.issued")) == 2):  # noqa: ASYNC110  another process writes them
            await trio.sleep(0.05)
        assert proxy.events("restart.needed") == []


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[routes.echo", "this is not TOML"),
        ('[routes.echo]\nadapter = "ehco"\n', "routes.echo.adapter"),
        ('[routes.b]\nadapter = "raw"\nurl = "wss://127.0.0.1:1/"\nca_file = "none.pem"\n', "routes.b.ca_file"),
    ],
)
async def test_a_configuration_that_is_wrong_leaves_everything_as_it_was(directory: Path, text: str, said: str) -> None:
    trust = trust_from_directory(directory)
    with running_proxy(directory) as proxy, trio.fail_after(PATIENCE_SECONDS):
        refused = await trio.to_thread.run_sync(told, proxy, TEXT + text, "configuration.refused")
        assert said in refused["reason"]
        assert "\n" not in refused["reason"]
        async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca) as call:
            await call.send(bytes(640))
            await anext(call)
        assert len(proxy.events("configuration.loaded")) == 1


@pytest.mark.interop(tool="softhsm2-util")
def test_a_key_that_needs_a_restart_is_named(directory: Path) -> None:
    with running_proxy(directory) as proxy:
        waiting = told(proxy, TEXT + "[hsm]\ndeadline_seconds = 9\n", "restart.needed")
        assert waiting["keys"] == ["hsm"]


def entry(name: str) -> str:
    digest = hashlib.sha256(f"token-of-{name}-which-is-long-enough".encode()).hexdigest()
    return f'[[client]]\nname = "{name}"\ntoken_sha256 = "{digest}"\naudience = ["localhost:PORT"]\n'


def write_clients(proxy: RunningProxy, text: str) -> None:
    """As an editor does that writes in place."""
    (proxy.directory / "clients.toml").write_text(text.replace("PORT", str(proxy.port)))


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.protocol("P4.22")
async def test_whoever_is_taken_out_of_the_file_loses_his_call_and_nobody_else_does(directory: Path) -> None:
    trust = trust_from_directory(directory)
    (directory / "clients.toml").write_text("")

    def dial(proxy: RunningProxy, name: str) -> AbstractAsyncContextManager[Call]:
        token = f"token-of-{name}-which-is-long-enough"
        return connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, token=token)

    sets = ("clients.file=clients.toml", "clients.require_credential=true")
    with running_proxy(directory, *sets) as proxy, trio.fail_after(PATIENCE_SECONDS):
        write_clients(proxy, entry("one") + entry("two"))
        while not proxy.events("clients.loaded"):  # noqa: ASYNC110  another process writes it
            await trio.sleep(0.02)
        async with dial(proxy, "two") as two:
            with pytest.raises(SessionExpired):  # noqa: PT012  a call's whole life
                async with dial(proxy, "one") as one:
                    write_clients(proxy, entry("two"))
                    async for _ in one:  # how soon, tests/shows/test_revocation.py measures
                        pass
            write_clients(proxy, entry("two") + '[[client]]\nname = "ha')
            while not proxy.events("clients.refused"):  # noqa: ASYNC110  likewise
                await trio.sleep(0.02)
            await two.send(bytes(640))
            await anext(two)
        with pytest.raises(AuthFailed):
            async with dial(proxy, "one") as one:
                await anext(one)
        (refused,) = proxy.events("clients.refused")
        assert "clients.toml" in refused["reason"]
        assert "\n" not in refused["reason"]


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.protocol("P4.22")
async def test_whoever_is_taken_out_loses_his_call_in_a_drain_too(directory: Path) -> None:
    trust = trust_from_directory(directory)
    (directory / "clients.toml").write_text("")
    sets = ("clients.file=clients.toml", "clients.require_credential=true", "process.drain_seconds=3600")
    with running_proxy(directory, *sets) as proxy, trio.fail_after(PATIENCE_SECONDS):
        write_clients(proxy, entry("one"))
        while not proxy.events("clients.loaded"):  # noqa: ASYNC110  another process writes it
            await trio.sleep(0.02)
        token = "token-of-one-which-is-long-enough"
        with pytest.raises(SessionExpired):  # noqa: PT012  a call's whole life
            async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, token=token) as one:
                proxy.process.send_signal(signal.SIGTERM)
                while not proxy.events("proxy.draining"):  # noqa: ASYNC110  likewise
                    await trio.sleep(0.02)
                proxy.process.send_signal(signal.SIGHUP)
                write_clients(proxy, "")
                async for _ in one:
                    pass
        assert len(proxy.events("configuration.loaded")) == 1


@pytest.mark.interop(tool="softhsm2-util")
async def test_whoever_is_taken_off_a_routes_list_loses_his_call_there_and_comes_back_by_no_ticket(
    directory: Path,
) -> None:
    trust = trust_from_directory(directory)
    (directory / "clients.toml").write_text("")
    with (
        running_proxy(directory, "clients.file=clients.toml") as proxy,
        trio.fail_after(PATIENCE_SECONDS),
    ):
        write_clients(proxy, entry("one") + entry("two"))
        while not proxy.events("clients.loaded"):  # noqa: ASYNC110  another process writes it
            await trio.sleep(0.02)

        def dial(name: str) -> AbstractAsyncContextManager[Call]:
            token = f"token-of-{name}-which-is-long-enough"
            return connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca, token=token)

        async with dial("two") as two:
            with pytest.raises(SessionExpired):  # noqa: PT012  a call's whole life
                async with dial("one") as one:
                    text = TEXT + '[routes.echo]\nadapter = "echo"\nidentities = ["two"]\n'
                    await trio.to_thread.run_sync(told, proxy, text, "configuration.loaded")
                    async for _ in one:
                        pass
            await two.send(bytes(640))
            await anext(two)
        with pytest.raises(PolicyRefused):
            async with dial("one") as one:
                await anext(one)


async def test_a_signal_in_the_middle_of_a_start_is_no_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def build_(*_: object, **__: object) -> Parts:
        signal.raise_signal(signal.SIGHUP)
        await trio.lowlevel.checkpoint()
        raise HsmError("as far as that")

    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr(lifetime, "harden_process", lambda: 1)
    monkeypatch.setattr(lifetime, "configure_logging", lambda _: None)
    monkeypatch.setattr(lifetime, "check_loaded", lambda *_: CheckReport((), ()))
    monkeypatch.setattr(Parts, "build", build_)
    with pytest.raises(HsmError, match="as far as that"):
        await lifetime.serve(build({}), tmp_path / "sottovoce.toml")
    assert signal.getsignal(signal.SIGHUP) == before
