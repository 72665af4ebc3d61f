"""Killed at any step: the directory can be served, and the same command finishes what was begun."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.app import staging
from sottovoce.app.anchors import auditing, list_anchors, place, replacing, retire, rotate, switch
from sottovoce.app.places import ANCHOR_LIST, AUDIT_LOG
from sottovoce.audit import read_events
from sottovoce.hsm import Cluster
from sottovoce.identity import load_ring
from tests.app.anchors.test_replacing import WEEK, files, ids, issuer, later
from tests.app.directories import OpenToken
from tests.running import SOTTOVOCE

pytestmark = pytest.mark.interop(tool="softhsm2-util")


class Killed(BaseException):
    """Nothing catches it."""


class Executioner:
    """Kills at the n-th step: before a question to the token or a file, which is behind the one before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 10**6
        self.steps: list[str] = []
        write, call = staging.replace_file, Cluster.call

        def replace_file(path: Path, data: bytes, mode: int) -> None:
            self._step(f"before {path.name}")
            write(path, data, mode)

        async def ask(token: Cluster, operation: Any, question: Any, *, deadline_seconds: float) -> Any:
            self._step(f"before {operation.name}")
            return await call(token, operation, question, deadline_seconds=deadline_seconds)

        for module in (place, replacing, auditing):
            monkeypatch.setattr(module, "replace_file", replace_file)
        monkeypatch.setattr(Cluster, "call", ask)

    def _step(self, name: str) -> None:
        self.steps.append(name)
        self.left -= 1
        if self.left < 0:
            raise Killed


def killed(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(killed, error.exceptions))
    return isinstance(error, Killed)


Run = Callable[[Path], Any]
STEPS: dict[str, Run] = {
    "rotate": lambda directory: rotate(directory, dry_run=False, progress=[].append),
    "switch": lambda directory: switch(directory, back=False, dry_run=False),
    "retire": lambda directory: retire(directory, dry_run=False),
}


def is_done(directory: Path, command: str) -> bool:
    """Of a retirement that was killed at its end nothing is left to be done, but to have it on the audit log."""
    ring = load_ring(directory / ANCHOR_LIST)
    return command == "retire" and ring is not None and len(ring.anchors) == 1 and not ring.leaving


async def brought_to(directory: Path, command: str) -> None:
    """Run what comes before a command."""
    for name, run in STEPS.items():
        if name == command:
            return
        await run(directory)


COUNTS = {"rotate": 7, "switch": 3, "retire": 6}
"""Held against what happens."""


@pytest.mark.parametrize(("command", "step"), [(name, step) for name, count in COUNTS.items() for step in range(count)])
async def test_whatever_was_begun_is_finished(
    opened: OpenToken, directory: Path, monkeypatch: pytest.MonkeyPatch, command: str, step: int
) -> None:
    await brought_to(directory, command)
    later(monkeypatch, WEEK + 301 if command == "retire" else 0)
    with monkeypatch.context() as patched:
        executioner = Executioner(patched)
        executioner.left = step
        with pytest.raises(BaseException) as caught:  # noqa: PT011  a group or the thing itself
            await STEPS[command](directory)
        assert killed(caught.value), caught.value
        executioner.left = 10**6
    assert await issuer(opened, directory) in ids(directory)
    if is_done(directory, command):
        await STEPS["rotate"](directory)  # whatever comes next puts it on the log
        return
    await STEPS[command](directory)
    ring = load_ring(directory / ANCHOR_LIST)
    assert ring is not None
    assert (ring.leaving, ring.unaudited) == ((), ())
    anchors = [each.id for each in list_anchors(directory).anchors]
    assert (ids(directory), len(anchors)) == (anchors, {"rotate": 2, "switch": 2, "retire": 1}[command])
    assert await issuer(opened, directory) == (anchors[0] if command == "rotate" else anchors[-1])
    event = {"rotate": "anchor_created", "switch": "anchor_switched", "retire": "anchor_retired"}[command]
    assert len(list(read_events(directory / AUDIT_LOG, event))) in {1, 2}, "twice if killed between log and list"


async def test_every_step_was_tried(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command, run in STEPS.items():
        with monkeypatch.context() as patched:
            later(patched, WEEK + 301 if command == "retire" else 0)
            executioner = Executioner(patched)
            await run(directory)
            assert len(executioner.steps) == COUNTS[command], executioner.steps


async def test_what_a_killed_write_has_left_is_of_no_use_to_anybody(opened: OpenToken, directory: Path) -> None:
    (directory / "keys/.anchors.json.new").write_bytes(b"{")
    (directory / "certs/.anchor.json.new").write_bytes(b"{")
    await STEPS["rotate"](directory)
    assert await issuer(opened, directory) == ids(directory)[0]
    assert "new" not in {name.rpartition(".")[2] for name in files(directory)}


@pytest.mark.parametrize("tries", [6, pytest.param(60, marks=pytest.mark.soak)])
async def test_killed_for_real_at_any_moment(
    opened: OpenToken, directory: Path, made_directory: Path, tries: int
) -> None:
    """With the token process, which dies with it, perhaps while SoftHSM writes a key."""
    first = ids(directory)
    for number in range(tries):
        process = await trio.lowlevel.open_process(
            [*SOTTOVOCE, "anchor", "rotate", str(directory)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with trio.move_on_after(0.25 + 0.45 * number / tries):
            await process.wait()
        process.kill()
        await process.wait()
        assert await issuer(opened, directory) == first[0]
        if len(ids(directory)) > 1:  # it was done already: begin anew
            shutil.rmtree(directory)
            shutil.copytree(made_directory, directory)
    await STEPS["rotate"](directory)
    await STEPS["switch"](directory)
    assert await issuer(opened, directory) == ids(directory)[1]
    assert ids(directory)[:1] == first
