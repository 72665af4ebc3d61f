"""The watcher of the clients' files by itself: files that are no files, half of one, and those nobody can read."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

from sottovoce.app.floor import Change
from sottovoce.app.serving import reload
from sottovoce.app.serving.announcing import Manager
from sottovoce.app.serving.reload import Reloader, refuse_emptied, settle, stamps
from sottovoce.audit import AuditConfig
from sottovoce.identity import Clients, ClientsConfig, ClientsContents, read_clients
from sottovoce.observe.metrics import Metrics
from sottovoce.primitives import SottovoceError
from sottovoce.settings import Configuration, ConfigurationInvalid, build
from sottovoce.transport import SystemEntropy
from sottovoce.wire import Code
from tests.identity.clients.files import HOST, token, token_entry
from tests.observe.metrics.exercised import VERSIONS, value
from tests.pki.clients.authorities import Authority

if TYPE_CHECKING:
    from sottovoce.app.serving.parts import Parts

PATIENCE_SECONDS = 60.0
NOON = 1_800_000_000.0


class Lines:
    """A log by hand."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, Any]]] = []

    def say(self, event: str, **fields: Any) -> None:
        self.kept.append((event, fields))

    info = warning = error = say


class FakeParts:
    """As much of a proxy as a reloader touches."""

    def __init__(self, config: ClientsConfig) -> None:
        self.wall = NOON
        self.configuration = Configuration(clients=config)
        self.file = Path("sottovoce.toml")
        self.logger = Lines()
        self.clients: Clients = read_clients(config, self.now, SystemEntropy())
        self.taken: list[ClientsContents] = []
        self.rechecks = 0
        self.metrics = Metrics(VERSIONS)
        self.leaf = self.voice = SimpleNamespace(renew_now=lambda: None)
        self.applied: list[Change] = []

    def now(self) -> float:
        return self.wall

    async def take_clients(self, contents: ClientsContents) -> int:
        await trio.lowlevel.checkpoint()
        self.clients.replace(contents)
        self.taken.append(contents)
        return 0

    async def apply(self, change: Change) -> None:
        await trio.lowlevel.checkpoint()
        self.applied.append(change)

    def counted(self, what: str, outcome: str) -> float:
        return value(self.metrics, "sottovoce_reloads_total", what=what, outcome=outcome)

    @property
    def carrier(self) -> "FakeParts":
        return self

    async def recheck(self) -> None:
        await trio.lowlevel.checkpoint()
        self.rechecks += 1

    def said(self, event: str) -> list[str]:
        return [fields.get("reason", "") for said, fields in self.logger.kept if said == event]

    def lets_in(self, value: bytes) -> bool:
        return not isinstance(self.clients.check(token(value, HOST)), Code)


async def until(condition: Any) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  a thread reads
            await trio.sleep(0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.write_text(token_entry())
    return path


def write(file: Path, text: str = "") -> None:
    """Put another file in its place if it is a pipe; else write in place."""
    if file.is_fifo():
        file.unlink()
    file.write_text(text)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def refused() -> Configuration:
    raise ConfigurationInvalid([])


async def start(nursery: trio.Nursery, parts: FakeParts) -> Reloader:
    reloader = Reloader(cast("Parts", parts), refused, stamps(parts.configuration.clients))
    nursery.start_soon(reloader.run, Manager({}))
    await trio.lowlevel.checkpoint()
    return reloader


@pytest.mark.parametrize(
    ("fresh", "outcome"),
    [
        (None, "refused"),
        (Configuration(), "taken"),
        (Configuration(audit=AuditConfig(file="elsewhere.log")), "restart_needed"),
    ],
)
async def test_a_configuration_is_counted_by_what_becomes_of_it(
    fresh: Configuration | None, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = FakeParts(ClientsConfig())
    if fresh is not None:
        change = Change(fresh, {}, parts.clients.contents)
        monkeypatch.setattr(Reloader, "_read", lambda _: change)
    monkeypatch.setattr(reload, "configure_logging", lambda _: None)
    reloader = Reloader(cast("Parts", parts), refused, ())
    await reloader._reload()
    outcomes = {each: parts.counted("configuration", each) for each in ("taken", "refused", "restart_needed")}
    assert outcomes == dict.fromkeys(outcomes, 0.0) | {outcome: 1.0}
    assert bool(parts.applied) is (outcome != "refused")
    assert bool(parts.said("restart.needed")) is (outcome == "restart_needed")
    assert bool(parts.said("configuration.refused")) is (outcome == "refused")


async def test_a_pipe_in_a_files_place_holds_nobody_up(file: Path) -> None:
    parts = FakeParts(ClientsConfig(file=str(file)))
    async with trio.open_nursery() as nursery:
        await start(nursery, parts)
        pipe(file)
        await until(lambda: parts.said("clients.refused"))
        assert parts.lets_in(b"good")
        write(file)
        await until(lambda: parts.said("clients.loaded"))
        assert not parts.lets_in(b"good")
        assert (parts.counted("clients", "refused"), parts.counted("clients", "taken")) == (1, 1)
        nursery.cancel_scope.cancel()


async def test_a_list_that_ran_out_does_not_keep_a_token_from_being_revoked(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "crl.pem").write_bytes(authority.revoke())
    config = ClientsConfig(file=str(file), ca_file=str(tmp_path / "ca.pem"), crl_file=str(tmp_path / "crl.pem"))
    parts = FakeParts(config)
    monkeypatch.setattr(reload, "CLOCK", SimpleNamespace(wall=parts.now))
    async with trio.open_nursery() as nursery:
        await start(nursery, parts)
        parts.wall += 8 * 86_400
        write(file)
        await until(lambda: not parts.lets_in(b"good"))
        (reason,) = parts.said("clients.refused")
        assert "crl.pem" in reason
        assert "outdated" in reason
        assert parts.clients.contents.cas is not None
        nursery.cancel_scope.cancel()


def test_a_mode_that_was_mended_is_a_change(file: Path) -> None:
    config = ClientsConfig(file=str(file))
    file.chmod(0)
    seen = stamps(config)
    time.sleep(0.02)
    file.chmod(0o600)
    assert stamps(config) != seen


async def test_what_could_not_be_read_for_a_moment_is_tried_again_and_said_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = FakeParts(ClientsConfig(file=str(file)))
    real, failures = os.open, [3]

    def short_of_descriptors(path: Any, *rest: Any, **more: Any) -> int:
        if str(path) == str(file) and failures[0]:
            failures[0] -= 1
            raise OSError(24, "Too many open files")
        return real(path, *rest, **more)

    monkeypatch.setattr(reload, "RETRY_SECONDS", (0.05,))
    monkeypatch.setattr(os, "open", short_of_descriptors)
    async with trio.open_nursery() as nursery:
        await start(nursery, parts)
        write(file)
        await until(lambda: not parts.lets_in(b"good"))
        assert len(parts.said("clients.refused")) == 1
        nursery.cancel_scope.cancel()


async def test_a_file_that_was_just_emptied_to_be_written_lets_nobody_down(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "LOOK_SECONDS", 0.005)
    parts = FakeParts(ClientsConfig(file=str(file)))
    text = token_entry()
    async with trio.open_nursery() as nursery:
        await start(nursery, parts)
        for times in range(1, 4):
            with file.open("w") as stream:
                await trio.sleep(0.02)
                stream.write(text)
            await until(lambda times=times: len(parts.taken) == times)
            assert parts.lets_in(b"good")
        assert all(contents.tokens for contents in parts.taken)
        nursery.cancel_scope.cancel()


async def test_a_file_that_is_touched_without_end_is_read_all_the_same(file: Path) -> None:
    parts = FakeParts(ClientsConfig(file=str(file)))
    async with trio.open_nursery() as nursery:
        await start(nursery, parts)
        write(file)
        with trio.fail_after(PATIENCE_SECONDS):
            while parts.lets_in(b"good"):
                os.utime(file)
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()


async def test_signals_without_end_do_not_keep_the_clients_file_from_being_read(file: Path) -> None:
    parts = FakeParts(ClientsConfig(file=str(file)))
    async with trio.open_nursery() as nursery:
        reloader = await start(nursery, parts)
        write(file)
        with trio.fail_after(PATIENCE_SECONDS):
            while parts.lets_in(b"good"):
                reloader.ask()
                await trio.lowlevel.checkpoint()
        assert parts.said("configuration.refused")
        nursery.cancel_scope.cancel()


async def test_calls_are_looked_at_when_an_entry_comes_to_its_end(file: Path) -> None:
    """Their sessions know the end that stood there when they began."""
    parts = FakeParts(ClientsConfig(file=str(file)))
    async with trio.open_nursery() as nursery:
        await start(nursery, parts)
        write(file, token_entry(more="expires = 2027-01-15T08:00:10Z"))
        await until(lambda: parts.taken)
        assert parts.rechecks == 0
        parts.wall = NOON + 10
        await until(lambda: parts.rechecks)
        await trio.sleep(3 * reload.LOOK_SECONDS)
        assert parts.rechecks == 1
        nursery.cancel_scope.cancel()


PRODUCTION: dict[str, Any] = {
    "process": {"profile": "production"},
    "clients": {"file": "clients.toml", "require_credential": True},
    "voice": {"require_binding": True},
    "listener": {"pq": "require"},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clients": {}}, "clients.require_credential"),
        ({"voice": {"require_binding": False}}, "voice.require_binding"),
        ({"listener": {}}, "listener.pq"),
        ({"voice": {"require_binding": True, "suites": ["X25519_AES256GCM"]}}, "voice.suites"),
    ],
)
def test_a_file_that_is_no_longer_productions_does_not_loosen_a_proxy_that_is(
    change: dict[str, Any], said: str
) -> None:
    running, fresh = build(PRODUCTION), build({**PRODUCTION, "process": {}, **change})
    with pytest.raises(SottovoceError, match=said):
        settle(running, fresh)
    assert settle(running, build({**PRODUCTION, "process": {}}))[1] == ("process.profile",)


def test_a_configuration_file_that_was_just_emptied_is_not_taken(tmp_path: Path) -> None:
    file, running, defaults = tmp_path / "sottovoce.toml", build({"clients": {"file": "who.toml"}}), Configuration()
    file.touch()
    with pytest.raises(ConfigurationInvalid, match="is empty"):
        refuse_emptied(file, running, defaults)
    refuse_emptied(file, defaults, defaults)
    file.write_text("# of defaults alone\n")
    refuse_emptied(file, running, defaults)
    refuse_emptied(tmp_path / "is not there", running, defaults)
