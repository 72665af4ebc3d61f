import json
import statistics
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from loadtest.bench.talking import talking
from loadtest.commands.tree import main
from loadtest.peers import comparing, servers
from loadtest.peers.comparing import Comparison, Turn, Wanted, compare
from loadtest.peers.connecting import Connected
from loadtest.peers.contenders import MUX, OURS, SOTTOVOCE, WORKERS
from loadtest.peers.servers import Cores, InstallationFailed, Program, Running, ServerFailed
from loadtest.peers.statistics import Spread
from loadtest.replay import Kind, Outcome, Plan, Target, Watched
from loadtest.replay.plan import SEALED_BYTES
from tests.loadtest.report.outcomes import outcome

ANYWHERE = Cores(None, None, is_prompt=False)
HAPROXY, NGINX = Program("haproxy", "/usr/sbin/haproxy", "2.6.12"), Program("nginx", "/usr/sbin/nginx", "1.22.1")


class House:
    """Servers that are none, and a run that takes no time."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.running: list[str] = []
        self.broken: set[str] = set()
        self.changes: list[tuple[str, ...]] = []

    @contextmanager
    def echo(self, cores: Cores, directory: Path) -> Generator[tuple[int, int]]:
        yield 9000, 17

    @contextmanager
    def mux_echo(self, cores: Cores, directory: Path) -> Generator[tuple[int, int]]:
        yield 9001, 18

    def connect(self, of: tuple[int, str], running: Running, *_: object) -> Connected:
        shares = (0.45, 0.55) if of[1] == WORKERS else ()
        return Connected(*of, 300, 0, 400.0 if of[1] == "haproxy" else 1000.0, 40.0, shares)

    @contextmanager
    def peer(self, program: Program, *_: object) -> Generator[Running]:
        with self._run(program.name, Kind.OPAQUE) as running:
            yield running

    @contextmanager
    def sottovoce(self, cores: Cores, directory: Path, changes: tuple[str, ...] = ()) -> Generator[Running]:
        self.changes.append(changes)
        name = MUX if any("mux" in each for each in changes) else WORKERS if changes else SOTTOVOCE
        with self._run(name, Kind.VOICE) as running:
            yield running

    @contextmanager
    def _run(self, name: str, kind: Kind) -> Generator[Running]:
        if name in self.broken:
            raise ServerFailed(f"{name} did not start")
        self.running.append(name)
        yield Running(Target(url=f"wss://localhost:1/{name}", kind=kind), Watched(proxy=(1,), token=(2,)))
        self.running.remove(name)

    def run_load(self, plan: Plan) -> Outcome:
        assert self.running == [plan.name]
        self.plans.append(plan)
        return outcome(name=plan.name, tick_us=plan.tick_us, machine="one core, as pinned")


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    it = House()
    monkeypatch.setattr(servers, "run_echo", it.echo)
    monkeypatch.setattr(servers, "run_mux_echo", it.mux_echo)
    monkeypatch.setattr(servers, "run_peer", it.peer)
    monkeypatch.setattr(servers, "run_sottovoce", it.sottovoce)
    monkeypatch.setattr(servers, "prepare_sottovoce", lambda *_: None)
    monkeypatch.setattr(comparing, "run_load", it.run_load)
    monkeypatch.setattr(comparing, "connect", it.connect)
    monkeypatch.setattr(comparing, "describe_machine", lambda: "two cores")
    return it


def test_all_take_turns_and_nobody_is_always_first(house: House) -> None:
    found = compare(Wanted(programs=(HAPROXY, NGINX)), ANYWHERE, {})
    names = [plan.name for plan in house.plans]
    assert len(names) == 3 * 2 * 3
    assert [names[start] for start in (0, 6, 12)] == ["sottovoce", "haproxy", "nginx"]
    for start in range(0, 18, 3):
        assert sorted(names[start : start + 3]) == ["haproxy", "nginx", "sottovoce"]
    assert [plan.tick_us for plan in house.plans[:6]] == [0, 0, 0, 1000, 1000, 1000]
    assert found.yardstick == "haproxy"
    assert [(each.name, each.tick_us, each.rounds) for each in found.standings] == [
        (name, tick, 3) for tick in (0, 1000) for name in ("sottovoce", "haproxy", "nginx")
    ]


def test_the_same_load_is_offered_to_all(house: House) -> None:
    compare(Wanted(programs=(HAPROXY,), rounds=1, ticks=(0,), sessions=7, seconds=3.0), ANYWHERE, {})
    ours, theirs = house.plans
    assert (ours.targets[0].kind, theirs.targets[0].kind) == (Kind.VOICE, Kind.OPAQUE)
    assert replace(ours, targets=(), name="") == replace(theirs, targets=(), name="")
    assert ours.watched == Watched(proxy=(1,), token=(2,), backend=(17,))
    assert (ours.sessions, ours.seconds, ours.payload_bytes) == (7, 3.0, SEALED_BYTES)


def test_the_peers_messages_weigh_what_a_sealed_frame_does() -> None:
    client, _ = talking()
    records = [client.seal_audio(bytes(640), number / 50, timestamp=320 * number) for number in range(1000)]
    sizes = [len(record) for record in records if record is not None]
    assert statistics.mode(sizes) == SEALED_BYTES


def test_the_machine_is_described_as_it_is_unpinned(house: House) -> None:
    found = compare(Wanted(programs=(), rounds=1, ticks=(0,)), ANYWHERE, {})
    assert found.rows[0].outcome.machine == "two cores"
    assert found.yardstick == "sottovoce"


def test_few_rounds_are_warned_about(house: House) -> None:
    found = compare(Wanted(programs=(), rounds=2, ticks=(0,)), ANYWHERE, {})
    assert any("2 rounds are too few" in remark for remark in found.remarks)
    assert any("fewer than two cores" in remark for remark in found.remarks)


def test_a_peer_that_does_not_start_leaves_the_others(house: House) -> None:
    house.broken = {"haproxy"}
    found = compare(Wanted(programs=(HAPROXY, NGINX), rounds=3, ticks=(0,)), ANYWHERE, {})
    assert found.missing == {"haproxy": "haproxy did not start"}
    assert found.yardstick == "nginx"
    assert [each.name for each in found.standings] == ["sottovoce", "nginx"]


def test_what_this_proxy_does_not_know_is_left_out_with_its_word(house: House) -> None:
    house.broken = {WORKERS}
    found = compare(Wanted(programs=(HAPROXY,), ours=OURS, rounds=1, ticks=(0,)), ANYWHERE, {})
    assert found.missing == {WORKERS: "sottovoce, 2 workers did not start"}
    assert [each.name for each in found.standings] == [SOTTOVOCE, MUX, "haproxy"]


def test_each_of_ours_has_its_backend_and_what_it_is_told(house: House) -> None:
    compare(Wanted(programs=(), ours=OURS, rounds=1, ticks=(0,)), ANYWHERE, {})
    assert house.changes == [
        (),
        ("routes.load.adapter=mux", "routes.load.url=tcp://127.0.0.1:9001"),
        ("process.workers=2",),
    ]
    assert [plan.watched.backend for plan in house.plans] == [(17,), (18,), (17,)]


def test_handshakes_and_idle_calls_are_measured_once_a_round(house: House) -> None:
    wanted = Wanted(programs=(HAPROXY,), ours=OURS, rounds=2, ticks=(0,), counts_connections=True)
    found = {each.name: each for each in compare(wanted, ANYWHERE, {}).connections}
    assert list(found) == [SOTTOVOCE, MUX, WORKERS, "haproxy"]
    assert found[SOTTOVOCE].per_second == Spread(1000.0, 1000.0, 1000.0, 2)
    assert found[SOTTOVOCE].ratio == Spread(0.4, 0.4, 0.4, 2)
    assert found[WORKERS].shares == Spread(0.5, 0.45, 0.55, 4)
    assert found["haproxy"].kib_per_call == Spread(40.0, 40.0, 40.0, 2)


def test_without_sottovoce_there_is_no_comparison(house: House) -> None:
    house.broken = {"sottovoce"}
    with pytest.raises(ServerFailed, match="sottovoce did not start"):
        compare(Wanted(programs=(HAPROXY,)), ANYWHERE, {})


def test_interrupted_it_gives_what_there_is(house: House) -> None:
    def tell(turn: Turn) -> None:
        if turn.round == 2:
            raise KeyboardInterrupt

    found = compare(Wanted(programs=(HAPROXY,), ticks=(0,)), ANYWHERE, {}, tell)
    assert found.is_partial
    assert len(found.rows) == 2


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Program]:
    """The peers that the machine has."""
    peers = {"haproxy": HAPROXY, "nginx": NGINX}
    monkeypatch.setattr(servers, "find_program", peers.get)
    monkeypatch.setattr(servers, "find_cores", lambda **_: ANYWHERE)
    return peers


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["compare", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_prints_the_table(house: House, found: dict[str, Program]) -> None:
    code, said, aside = run("--against", "haproxy,nginx", "--sessions", "20", "--rounds", "3")
    assert (code, aside) == (0, "")
    assert said.splitlines()[0].split()[:3] == ["contender", "arrivals", "rounds"]
    assert "haproxy 2.6.12" in said
    assert "2 workers to 1, each frame at an instant of its own: 1.00 × the processor time of a frame" in said
    assert "sottovoce, 2 workers: a worker had 45% to 55% of the calls" in said
    assert "handshakes/s of a core" in said
    assert {plan.sessions for plan in house.plans} == {20}


def test_json_is_one_object(house: House, found: dict[str, Program]) -> None:
    code, said, _ = run("--against", "haproxy", "--json", "--tick", "0")
    answer = json.loads(said)
    assert code == 0
    assert answer["schema"] == "loadtest.compare/1"
    assert [row["outcome"]["name"] for row in answer["rows"]][:4] == [*OURS, "haproxy"]
    assert answer["standings"][3]["ratio"]["median"] == 1.0
    assert answer["connections"][0]["name"] == "sottovoce"


def test_a_page_is_written(house: House, found: dict[str, Program], tmp_path: Path) -> None:
    code, _, _ = run("--against", "haproxy", "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert code == 0
    assert "haproxy, 1000 µs ticks" in page
    assert "sottovoce, own instants" in page
    code, _, aside = run("--against", "haproxy", "--html", tmp_path / "absent/page.html")
    assert code == 1
    assert "name a file that you may write" in aside


def test_a_missing_peer_is_said_and_the_other_compared(house: House, found: dict[str, Program]) -> None:
    del found["haproxy"]
    code, said, aside = run("--against", "haproxy,nginx", "--tick", "0")
    assert code == 0
    assert "haproxy is missing: apt-get install --no-install-recommends haproxy" in aside
    assert "not compared: haproxy is missing" in said
    assert "to nginx" in said


def test_with_no_peer_at_all_it_is_status_1(house: House, found: dict[str, Program]) -> None:
    found.clear()
    code, said, _ = run("--against", "nginx", "--tick", "0")
    assert code == 1
    assert "sottovoce" in said


def test_installing_is_done_when_asked(
    house: House, found: dict[str, Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    found.clear()
    monkeypatch.setattr(servers, "install", lambda name: replace(NGINX, name=name))
    assert run("--against", "nginx", "--tick", "0", "--install")[0] == 0

    def fail(name: str) -> Program:
        raise InstallationFailed(f"{name} could not be fetched")

    monkeypatch.setattr(servers, "install", fail)
    code, _, aside = run("--against", "nginx", "--tick", "0", "--install")
    assert (code, aside.strip()) == (1, "nginx could not be fetched")


def test_sottovoce_that_does_not_start_is_one_line(house: House, found: dict[str, Program]) -> None:
    house.broken = {"sottovoce"}
    code, _, aside = run("--against", "haproxy")
    assert (code, aside) == (1, "Error: sottovoce did not start\n")


def test_fewer_of_ours_and_no_connections(house: House, found: dict[str, Program]) -> None:
    code, said, _ = run("--against", "haproxy", "--ours", "mux", "--no-connections", "--tick", "0")
    assert (code, "handshakes/s" in said) == (0, False)
    assert {plan.name for plan in house.plans} == {SOTTOVOCE, MUX, "haproxy"}
    code, _, aside = run("--against", "haproxy", "--ours", "raw,rust")
    assert (code, "'rust': name some of raw, mux, workers" in aside) == (2, True)


@pytest.mark.parametrize("names", ["", "haproxy,envoy", " , "])
def test_a_peer_that_nobody_knows_is_status_2(names: str) -> None:
    code, _, aside = run("--against", names)
    assert code == 2
    assert "name one or more of haproxy, nginx" in aside


def test_an_interrupted_comparison_is_status_130(
    house: House, found: dict[str, Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Plan) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "run_load", stop)
    code, said, _ = run("--against", "haproxy")
    assert code == 130
    assert "partial: stopped before its time" in said


def test_a_comparison_survives_json() -> None:
    known = Comparison(yardstick="haproxy", remarks=(), missing={}, standings=(), rows=())
    assert msgspec.json.decode(msgspec.json.encode(known), type=Comparison) == known


def test_a_time_without_end_is_usage() -> None:
    assert CliRunner().invoke(main, ["compare", "--against", "nginx", "--seconds", "nan"]).exit_code == 2
