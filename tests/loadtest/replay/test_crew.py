"""Which processes are a proxy's: a real one's of several processes, and children that are only called alike."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from loadtest.peers.servers.carriers import run_sottovoce
from loadtest.peers.servers.cores import Cores
from loadtest.replay import Watched
from loadtest.replay.processes.crew import TOKEN_PROCESS, watched_of
from loadtest.replay.processes.looking import children_of
from loadtest.replay.wanted import Wanted, prepare, watched_behind
from sottovoce.app import token_process
from tests.running import make_directory

NOBODY = 2**22 + 1


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("crew"))


@contextmanager
def child(*words: str) -> Generator[int]:
    command = [sys.executable, "-c", "print(flush=True); input()", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # until then its command line may be ours
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_token_process_is_known_by_its_module_and_any_other_child_is_a_worker() -> None:
    with child(TOKEN_PROCESS, "3") as token, child("sottovoce.app.workers.process", "4") as worker:
        found = watched_of((os.getpid(),))
    assert token in found.token
    assert token not in found.proxy
    assert found.proxy[0] == os.getpid()
    assert worker in found.proxy
    assert token_process.COMMAND[-1] == TOKEN_PROCESS


def test_who_is_named_twice_or_is_gone() -> None:
    assert watched_of(()) == Watched()
    assert watched_of((NOBODY, NOBODY)) == Watched(proxy=(NOBODY,))


def served_by_run(directory: Path, stack: ExitStack, changes: tuple[str, ...]) -> Watched:
    plan = prepare(Wanted(config=directory, raw=True, changes=changes), stack, pytest.fail)
    behind = watched_behind(Wanted(urls=tuple(target.url for target in plan.targets)))
    assert (set(behind.proxy), behind.token) == (set(plan.watched.proxy), plan.watched.token)
    return plan.watched


def served_by_compare(directory: Path, stack: ExitStack, changes: tuple[str, ...]) -> Watched:
    cores = Cores(None, None, is_prompt=False)
    return stack.enter_context(run_sottovoce(cores, directory, changes)).watched


@pytest.mark.interop(tool="softhsm2-util")
@pytest.mark.parametrize("serve", [served_by_run, served_by_compare])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_are_the_proxy_and_not_its_token_process(
    directory: Path, serve: Callable[[Path, ExitStack, tuple[str, ...]], Watched], workers: int
) -> None:
    with ExitStack() as stack:
        watched = serve(directory, stack, (f"process.workers={workers}",))
        supervisor, *others = watched.proxy
        assert len(others) == (workers if workers > 1 else 0)
        assert len(watched.token) == 1
        assert {*others, *watched.token} == set(children_of(supervisor))
