"""Who takes part in a comparison, each as something that can be run, with the backend that answers it.

Sottovoce takes part up to three times: with a connection for each call (`raw`), with one for all (`mux`), and with two
workers; HAProxy and nginx with a connection for each call.  What an older or newer proxy does not know, it refuses when
it is started, and is then left out with its own word.
"""

import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path

import msgspec
from msgspec.structs import replace

from loadtest.peers import servers
from loadtest.peers.servers import Cores, Program, Running

SOTTOVOCE, MUX, WORKERS = "sottovoce", "sottovoce mux", "sottovoce, 2 workers"
OURS = (SOTTOVOCE, MUX, WORKERS)

Run = Callable[[], AbstractContextManager[Running]]


class Contender(msgspec.Struct, frozen=True):
    """One of them."""

    version: str
    run: Run
    """Starts it afresh."""
    may_be_missing: bool = True
    """Whether the others are compared without it."""


@contextmanager
def contenders(
    ours: Sequence[str], programs: Sequence[Program], calls: int, cores: Cores
) -> Generator[dict[str, Contender]]:
    """Run the backends; give the contenders by name, ours first."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sottovoce-compare-")))
        raw_port, raw_pid = stack.enter_context(servers.run_echo(cores, place))
        voice = place / "voice"
        servers.prepare_sottovoce(voice, raw_port)
        own: dict[str, tuple[tuple[str, ...], int]] = {
            SOTTOVOCE: ((), raw_pid),
            WORKERS: (("process.workers=2",), raw_pid),
        }
        if MUX in ours:
            mux_port, mux_pid = stack.enter_context(servers.run_mux_echo(cores, place))
            url = f"routes.{servers.ROUTE}.url=tcp://127.0.0.1:{mux_port}"
            own[MUX] = ((f"routes.{servers.ROUTE}.adapter=mux", url), mux_pid)
        found: dict[str, Contender] = {}
        for name in ours:
            changes, pid = own[name]
            run = partial(_with_backend, partial(servers.run_sottovoce, cores, voice, changes), pid)
            found[name] = Contender(version_of("sottovoce"), run, may_be_missing=name != SOTTOVOCE)
        for program in programs:
            start = partial(servers.run_peer, program, cores, place, raw_port, calls)
            found[program.name] = Contender(program.version, partial(_with_backend, start, raw_pid))
        yield found


@contextmanager
def _with_backend(run: Run, backend_pid: int) -> Generator[Running]:
    with run() as running:
        yield replace(running, watched=replace(running.watched, backend=(backend_pid,)))
