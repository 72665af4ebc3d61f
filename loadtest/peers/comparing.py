"""The rounds of a comparison: contenders take turns under each arrival model, each time as a fresh process.

The same calls, frames and instants are offered to all (`Plan.seed`), messages of the same size, and the same backend
answers.  What cannot run is named with its remedy, and the others are compared.
"""

from collections.abc import Callable, Generator, Sequence

import msgspec
from msgspec.structs import replace

from loadtest.peers.connecting import Connected, Connecting, connect, over_rounds
from loadtest.peers.contenders import SOTTOVOCE, Run, contenders
from loadtest.peers.servers import Cores, Program, ServerFailed
from loadtest.peers.statistics import Row, Standing, standings
from loadtest.replay import Outcome, Plan, run_load
from loadtest.replay.plan import SEALED_BYTES
from loadtest.replay.processes.looking import describe_machine

SCHEMA = "loadtest.compare/1"
SESSIONS, SECONDS, ROUNDS, TICKS = 200, 5.0, 3, (0, 1000)
ENOUGH_ROUNDS = 3
_SESSIONS_PER_SECOND = 100.0
_FEWER = 4
"""A quarter of the calls are there before what calls cost is measured."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be compared."""

    programs: tuple[Program, ...]
    """The peers that are there; the first one is the yardstick."""
    ours: tuple[str, ...] = (SOTTOVOCE,)
    """Sottovoce, and what else of it takes part."""
    sessions: int = SESSIONS
    seconds: float = SECONDS
    rounds: int = ROUNDS
    ticks: tuple[int, ...] = TICKS
    counts_connections: bool = False
    """Whether handshakes and idle calls are measured, too: once a round."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    schema: str = SCHEMA
    yardstick: str
    """Whose processor time is 1 in the ratios."""
    remarks: tuple[str, ...]
    missing: dict[str, str]
    """Who was asked for and could not run, and what to do."""
    standings: tuple[Standing, ...]
    rows: tuple[Row, ...]
    connections: tuple[Connecting, ...] = ()
    is_partial: bool = False


class Turn(msgspec.Struct, frozen=True):
    """The run that is about to begin."""

    round: int
    name: str
    tick_us: int | None
    """None: of calls that are silent."""


def compare(
    wanted: Wanted, cores: Cores, missing: dict[str, str], progress: Callable[[Turn], None] = lambda _: None
) -> Comparison:
    """Have everybody run.  Interrupted (KeyboardInterrupt), it gives what there is.  Raises ServerFailed."""
    machine = describe_machine()  # while nothing is pinned: then all of its cores are seen
    rows: list[Row] = []
    connected: list[Connected] = []
    failed = dict(missing)
    is_partial = False
    with contenders(wanted.ours, wanted.programs, wanted.sessions, cores) as taking_part:
        try:
            for turn in _turns(wanted, list(taking_part)):
                if turn.name in failed:
                    continue
                progress(turn)
                contender = taking_part[turn.name]
                try:
                    if turn.tick_us is None:
                        connected.append(_connected(wanted, turn, cores, contender.run))
                        continue
                    outcome = _one(wanted, turn, cores, contender.run)
                except ServerFailed as error:
                    if not contender.may_be_missing:
                        raise
                    text = str(error)
                    failed[turn.name] = text if turn.name in text else f"{turn.name}: {text}"
                    continue
                rows.append(Row(turn.round, contender.version, replace(outcome, machine=machine)))
        except KeyboardInterrupt:
            is_partial = True
    yardstick = next((program.name for program in wanted.programs if program.name not in failed), SOTTOVOCE)
    return Comparison(
        yardstick=yardstick,
        remarks=(*cores.remarks, *_remarks(wanted)),
        missing=failed,
        standings=standings(rows, yardstick),
        rows=tuple(rows),
        connections=over_rounds(connected, yardstick),
        is_partial=is_partial,
    )


def _turns(wanted: Wanted, names: Sequence[str]) -> Generator[Turn]:
    """Give the runs in their order: each round begins with another contender."""
    for number in range(wanted.rounds):
        first = number % len(names)
        for tick in (*wanted.ticks, *((None,) if wanted.counts_connections else ())):
            for name in (*names[first:], *names[:first]):
                yield Turn(number + 1, name, tick)


def _connected(wanted: Wanted, turn: Turn, cores: Cores, run: Run) -> Connected:
    with run() as running:
        few = max(1, wanted.sessions // _FEWER)
        return connect((turn.round, turn.name), running, cores, (few, wanted.sessions))


def _one(wanted: Wanted, turn: Turn, cores: Cores, run: Run) -> Outcome:
    with run() as running:
        plan = Plan(
            targets=(running.target,),
            sessions=wanted.sessions,
            seconds=wanted.seconds,
            tick_us=turn.tick_us or 0,
            payload_bytes=SEALED_BYTES,
            sessions_per_second=_SESSIONS_PER_SECOND,
            watched=running.watched,
            name=turn.name,
        )
        with cores.as_generator():
            return run_load(plan)


def _remarks(wanted: Wanted) -> list[str]:
    remarks = [
        (
            f"Peers terminate TLS 1.3 and pass WebSocket messages of {SEALED_BYTES} bytes, as large as the sealed "
            "frames that Sottovoce opens and seals; the backend is the same."
        ),
        "Loopback charges TCP's work to whoever sends: on a network card the share of Python weighs more.",
    ]
    if wanted.rounds < ENOUGH_ROUNDS:
        remarks.append(f"WARNING: {wanted.rounds} rounds are too few: a range needs {ENOUGH_ROUNDS}.")
    return remarks
