"""Each contender as something that can be started and called: its URL, its pids, what it is to the generator.

A run gets a fresh server: what an earlier run left in its memory would hide what a call costs.
"""

import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import trio

from loadtest.bench.crowd.proxy import served
from loadtest.peers.servers.certificates import PeerCertificate, make_certificate
from loadtest.peers.servers.configurations import Ports, haproxy_configuration, nginx_configuration
from loadtest.peers.servers.cores import Cores
from loadtest.peers.servers.processes import ServerFailed, free_port, serving, workers_of
from loadtest.peers.servers.programs import Program
from loadtest.replay import Kind, Target, Watched
from loadtest.replay.processes.crew import watched_of
from sottovoce.app.initialise import default_configuration, initialise
from sottovoce.client import trust_from_directory
from sottovoce.primitives import one_line

ROUTE = "load"
_SHOWN = 400
_LIMITS = (
    "max_handshakes_per_second",
    "max_handshakes_per_address",
    "max_handshakes_per_prefix",
    "max_prefix_handshakes_per_second",
)


class Running(msgspec.Struct, frozen=True):
    """A contender that takes calls."""

    target: Target
    watched: Watched
    """Without the backend."""


class Carrier(msgspec.Struct, frozen=True):
    """How a peer is configured and run."""

    configure: Callable[[Ports, int, PeerCertificate, Path], str]
    """Of the ports, how many calls there will be, the certificate, and the directory it may write to."""
    words: Callable[[Path, Path], list[str]]
    """What follows the program's name: of its configuration's file, and of the directory it may write to."""
    has_master: bool
    """Whether a child does the work."""


PEERS: dict[str, Carrier] = {
    "haproxy": Carrier(
        lambda ports, calls, certificate, _: haproxy_configuration(ports, calls, certificate),
        lambda file, _: ["-db", "-f", str(file)],
        has_master=False,
    ),
    "nginx": Carrier(
        nginx_configuration,
        lambda file, directory: ["-p", str(directory), "-e", "stderr", "-c", str(file)],
        has_master=True,
    ),
}


@contextmanager
def run_echo(cores: Cores, directory: Path) -> Generator[tuple[int, int]]:
    """Run the backend of all; give its port and its pid."""
    port = free_port()
    command = cores.for_backend([sys.executable, "-m", "loadtest.replay.processes.echo_backend", "--port", str(port)])
    with serving("the echo backend", command, port, directory / "echo.log") as pid:
        yield port, pid


@contextmanager
def run_mux_echo(cores: Cores, directory: Path) -> Generator[tuple[int, int]]:
    """Run the backend that all calls of `mux` share; give its port and its pid."""
    port = free_port()
    command = cores.for_backend([sys.executable, "-m", "loadtest.peers.children.mux_echo", "--port", str(port)])
    with serving("the mux backend", command, port, directory / "mux.log") as pid:
        yield port, pid


@contextmanager
def run_peer(program: Program, cores: Cores, parent: Path, backend_port: int, calls: int) -> Generator[Running]:
    """Run a peer in a directory of its own inside `parent`.  Raises ServerFailed."""
    carrier = PEERS[program.name]
    directory = Path(tempfile.mkdtemp(prefix=f"{program.name}-", dir=parent))
    certificate = make_certificate(directory)
    ports, file = Ports(free_port(), backend_port), directory / f"{program.name}.conf"
    file.write_text(carrier.configure(ports, calls, certificate, directory), encoding="utf-8")
    command = cores.for_server([program.path, *carrier.words(file, directory)])
    with serving(program.name, command, ports.front, directory / "log", program.environment) as pid:
        pids = workers_of(program.name, pid) if carrier.has_master else (pid,)
        target = Target(url=f"wss://localhost:{ports.front}/{ROUTE}", kind=Kind.OPAQUE, ca=certificate.ca_pem)
        yield Running(target, Watched(proxy=pids))


def prepare_sottovoce(directory: Path, backend_port: int) -> None:
    """Make a directory with a SoftHSM token of its own, and a `raw` route to the backend.

    The limits on one address's handshakes are off, as all calls come from one.
    """
    limits = "".join(f"{key} = 1000000\n" for key in _LIMITS)
    route = f'[routes.{ROUTE}]\nadapter = "raw"\nurl = "ws://127.0.0.1:{backend_port}/"\n'
    configuration = f"{default_configuration(0, 0)}{limits}\n{route}"
    trio.run(lambda: initialise(directory, configuration=configuration, progress=lambda _: None))


@contextmanager
def run_sottovoce(cores: Cores, directory: Path, changes: Sequence[str] = ()) -> Generator[Running]:
    """Run the proxy over a directory that `prepare_sottovoce` has made, with `--set` for each change.

    Raises ServerFailed, with the proxy's own words.
    """
    (directory / "run/ready").unlink(missing_ok=True)
    words = [word for change in ("log.format=json", *changes) for word in ("--set", change)]
    command = cores.for_server([sys.executable, "-m", "sottovoce", "serve", str(directory), *words])
    with ExitStack() as stack:
        try:
            proxy = stack.enter_context(served(command, directory))
        except RuntimeError as error:
            raise ServerFailed(one_line(str(error), max_characters=_SHOWN)) from None
        trust = trust_from_directory(directory)
        port = proxy.addresses[0].rpartition(":")[2]
        target = Target(
            url=f"wss://localhost:{port}/{ROUTE}", kind=Kind.VOICE, anchors=tuple(trust.anchors), ca=trust.ca
        )
        yield Running(target, watched_of((proxy.pid,)))
