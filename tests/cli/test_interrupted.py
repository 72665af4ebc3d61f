"""Ctrl-C, and being told to stop: no traceback, the exit code of the signal, nothing left behind."""

import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.recordings import write_recording
from tests.running import SOTTOVOCE, copy_directory, environment, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
PATIENCE_SECONDS = 60
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def heeded() -> Generator[None]:
    """A child ignores what its parent ignores; have these signals heeded, wherever the tests are run from."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def started(*words: str | Path, cwd: Path) -> Generator["subprocess.Popen[str]"]:
    """Run a command whose temporary files lie in `cwd`."""
    with subprocess.Popen(
        [*SOTTOVOCE, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(TMPDIR=str(cwd)),
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(claim: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)  # what another process does is to be seen in files only


def end(process: "subprocess.Popen[str]", number: int) -> None:
    """Send a signal; see that it ends the command as it should."""
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (out, err.strip()) == ("", "")
    assert process.returncode == 128 + number


@contextmanager
def leaves_no_process(process: "subprocess.Popen[str]") -> Generator[None]:
    """See that what the command started has ended when it has; all of it is in the session that the test gave it."""
    yield
    wait_until(lambda: process.pid not in sessions())


def sessions() -> set[int]:
    """Give the sessions of all processes that run (proc_pid_stat(5), field 6); a zombie has ended."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, _, _, session, *_ = entry.read_text().rpartition(")")[2].split()
            if state != "Z":
                found.add(int(session))
    return found


def interrupted_init(here: Path, number: int) -> tuple[int, str, str]:
    """Give exit code and what was said, and see that nothing is left, unless it was done before it was told."""
    here.mkdir()
    made = here / "voice"
    with started("init", "voice", cwd=here) as process, leaves_no_process(process):
        wait_until(lambda: any(here.glob(".voice.new-*/hsm/tokens")) or made.exists())
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert made.exists() or not list(here.iterdir())
    return process.returncode, out, err.strip()


@pytest.mark.parametrize("number", SIGNALS)
def test_init_leaves_nothing(tmp_path: Path, number: int) -> None:
    place = tmp_path / "first"
    told = interrupted_init(place, number)
    for turn in range(4):
        if (place / "voice").exists():  # on a busy machine it may have made it before it is told
            place = tmp_path / str(turn)
            told = interrupted_init(place, number)
    assert told == (128 + number, "", "")
    assert not list(place.iterdir())


@pytest.mark.parametrize("number", SIGNALS)
def test_a_call_hangs_up(made: Path, tmp_path: Path, number: int) -> None:
    directory = copy_directory(made, tmp_path, "proxy")
    wav = write_recording(tmp_path / "x.wav", seconds=20)
    (tmp_path / "here").mkdir()
    with running_proxy(directory) as proxy:
        words = ("call", f"{proxy.url}/echo", wav, "--dir", directory, "--out", "back.wav", "--json")
        with started(*words, cwd=tmp_path / "here") as process:
            wait_until(lambda: proxy.events("session.established"))
            end(process, number)
        assert proxy.stop() == 0
        (ended,) = proxy.events("session.ended")
    assert (ended["code"], ended["side"], ended["truncated"]) == (1001, "client", False)
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("number", SIGNALS)
def test_the_demo_stops_what_it_started_and_keeps_nothing(tmp_path: Path, number: int) -> None:
    with started("demo", "--json", cwd=tmp_path) as process, leaves_no_process(process):
        wait_until(lambda: any("session.established" in log.read_text() for log in tmp_path.glob("*/serve.log")))
        end(process, number)
    assert [path.name for path in tmp_path.rglob("*")] == ["demo-out"]


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """`nohup sottovoce …` outlives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with started("init", "voice", cwd=tmp_path) as process:
        wait_until(lambda: any(tmp_path.glob(".voice.new-*")))
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
    assert (tmp_path / "voice/sottovoce.toml").exists()
