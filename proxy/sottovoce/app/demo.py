"""`sottovoce demo`: everything once, each part in a process of its own, in a temporary directory.

    this process (client) ──sealed──▶ sottovoce serve ──plaintext──▶ demo_backend        token process ◀── serve

The epoch is short, so that the keys are seen to change while the recording plays.
"""

import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import trio

from sottovoce.app.initialise import initialise
from sottovoce.app.replay import Progress, Replay, replay
from sottovoce.app.wav import Recording, read_wav, refuse_unwritable, write_wav
from sottovoce.client import CallError, connect, trust_from_directory
from sottovoce.primitives import SottovoceError
from sottovoce.settings import development_text

EPOCH_SECONDS = 2
MIN_EPOCHS = 3
"""So many does a recording of six seconds go through."""
RECORDING = "speech-16k.wav"

_PYTHON = (sys.executable, "-P")
"""-P: no module is imported from the directory in which the demonstration was started."""
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.05
_PLACES = (Path(__file__).parent, Path(__file__).parents[3] / "loadtest/audio")


class DemoFailed(SottovoceError):
    """A part of the demonstration did not start or did not go well."""


class Demonstration(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown."""

    replay: Replay
    audio_identical: bool
    batches_served: int
    roots_signed: int
    wav: Path

    @property
    def is_ok(self) -> bool:
        """Whether everything was as it should be."""
        done = self.replay
        return (
            self.audio_identical
            and not done.frames_lost
            and done.statistics.epochs >= MIN_EPOCHS
            and done.ended is not None
            and not done.ended.truncated
            and self.roots_signed == self.batches_served > 0
        )


def find_recording() -> Path:
    """Give the bundled speech.  Raises DemoFailed where it is missing."""
    for place in _PLACES:
        if (place / RECORDING).is_file():
            return place / RECORDING
    raise DemoFailed(f"the bundled recording {RECORDING} is missing: restore loadtest/audio from the repository")


async def demonstrate(out: Path, say: Callable[[str], None], progress: Progress | None) -> Demonstration:
    """Run it all, write what came back to `out`, stop it all.  Raises SottovoceError."""
    recording = read_wav(find_recording())
    await trio.to_thread.run_sync(_prepare, out)
    with tempfile.TemporaryDirectory(prefix="sottovoce-demo-") as temporary:
        directory = Path(temporary) / "voice"
        await initialise(directory, hosts=("localhost", "127.0.0.1", "::1"), configuration=_TEXT, progress=say)
        async with _backend() as url, _proxy(directory, url) as (address, log):
            say(f"proxy at wss://localhost:{address.rpartition(':')[2]}, backend at {url}")
            say(f"calling: {recording.seconds:.1f} s of speech, new keys at least every {EPOCH_SECONDS} s")
            done = await _call(directory, address, recording, progress)
        stopped = _last_event(log, "proxy.stopped")
    await trio.to_thread.run_sync(write_wav, out, done.returned)
    return Demonstration(
        replay=done,
        audio_identical=done.returned.samples == recording.samples,
        batches_served=_count(stopped, "batches_served"),
        roots_signed=_count(stopped, "roots_signed"),
        wav=out,
    )


_TEXT = development_text(0, ("localhost", "127.0.0.1", "::1"), admin_port=0)


async def _call(directory: Path, address: str, recording: Recording, progress: Progress | None) -> Replay:
    trust = trust_from_directory(directory)
    url = f"wss://localhost:{address.rpartition(':')[2]}/demo"
    try:
        async with connect(url, anchor=trust.anchors, ca=trust.ca, codec=recording.codec) as call:
            return await replay(call, recording, progress=progress)
    except CallError as error:
        raise DemoFailed(f"the call failed: {error}") from error


@asynccontextmanager
async def _backend() -> AsyncGenerator[str]:
    """Run the echoing backend; give its URL."""
    command = [*_PYTHON, "-m", "sottovoce.relay.demo_backend", "--port", "0", "--stop-with-stdin"]
    async with _process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise DemoFailed("the backend has no standard output")
        line = b""
        with trio.move_on_after(_START_SECONDS):
            while not line.endswith(b"\n") and (data := await process.stdout.receive_some()):
                line += data
        if not line.endswith(b"\n"):
            raise DemoFailed("the backend did not start: run it by hand, python -m sottovoce.relay.demo_backend")
        yield line.decode().strip()


@asynccontextmanager
async def _proxy(directory: Path, backend: str) -> AsyncGenerator[tuple[str, Path]]:
    """Run `sottovoce serve`; give its address and its log."""
    log = directory.with_name("serve.log")
    changes = (
        f"voice.epoch_seconds={EPOCH_SECONDS}",
        "routes.demo.adapter=raw",
        f"routes.demo.url={backend}",
        "log.format=json",
    )
    words = [word for change in changes for word in ("--set", change)]
    with log.open("wb") as stderr:
        command = [*_PYTHON, "-m", "sottovoce", "serve", str(directory), *words]
        async with _process(command, stderr=stderr) as process:
            yield await _ready(trio.Path(directory / "run/ready"), process, trio.Path(log)), log


async def _ready(file: trio.Path, process: trio.Process, log: trio.Path) -> str:
    with trio.move_on_after(_START_SECONDS):
        while process.poll() is None:
            if await file.exists() and (address := (await file.read_text()).strip()):
                return address
            await trio.sleep(_LOOK_SECONDS)  # another process makes the file: there is nothing to wait on
    lines = (await log.read_text(errors="replace")).strip().splitlines()
    said = lines[-1].removeprefix("sottovoce: ") if lines else "it said nothing"
    raise DemoFailed(f"the proxy did not start: {said}")


@asynccontextmanager
async def _process(command: list[str], **streams: object) -> AsyncGenerator[trio.Process]:
    """Run a program; stop it when the block ends."""
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, check=False, deliver_cancel=_stop, **streams)
        process: trio.Process = await nursery.start(start)
        yield process
        nursery.cancel_scope.cancel()


async def _stop(process: trio.Process) -> None:
    process.terminate()
    with trio.move_on_after(_STOP_SECONDS):
        await process.wait()
        return
    process.kill()


def _last_event(log: Path, name: str) -> dict[str, object]:
    for line in reversed(log.read_text(errors="replace").splitlines()):
        try:
            event = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.DecodeError:
            continue
        if event.get("event") == name:
            return event
    raise DemoFailed(f"the proxy did not say {name}: it did not stop in good order")


def _count(event: dict[str, object], name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) else 0


def _prepare(out: Path) -> None:
    """See before anything is started that the result can be kept."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"{out.parent} cannot be made ({error.strerror}): run the demo in a directory that you may write to"
        raise DemoFailed(text) from None
    refuse_unwritable(out)
