"""Against `sottovoce serve` and HAProxy: calls through a raw backend, keys that turn meanwhile, a proxy that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest.peers.servers.carriers import run_peer
from loadtest.peers.servers.cores import Cores
from loadtest.peers.servers.programs import find_program
from loadtest.replay import Kind, Outcome, Plan, Progress, Target, Watched, run_load
from loadtest.replay.processes.started import echo_backend, served_proxy
from loadtest.replay.wanted import Wanted, prepare
from loadtest.scenario import find_scenario, read_scenario
from sottovoce.client import trust_from_directory
from tests.running import ROOT, make_directory

UNPINNED = Cores(None, None, is_prompt=False)
SPEECH = ROOT / "loadtest/audio"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("load"))


def carried_whole(outcome: Outcome) -> None:
    assert outcome.routes[0].reasons == {}
    assert (outcome.lost, outcome.is_partial) == (0, False)
    assert sum(route.wrong for route in outcome.routes) == 0
    assert outcome.carried == outcome.offered


@pytest.mark.interop(tool="softhsm2-util")
def test_five_calls_of_two_seconds_through_a_raw_backend(directory: Path) -> None:
    wanted = Wanted(config=directory, raw=True, sessions=5, seconds=2.0)
    with ExitStack() as stack:
        outcome = run_load(prepare(wanted, stack, pytest.fail))
    carried_whole(outcome)
    assert outcome.offered == 500
    assert outcome.latency.count == 500
    assert (outcome.handshakes.done, outcome.handshakes.failed) == (5, 0)
    assert outcome.cost.proxy_us_per_frame is not None
    assert outcome.cost.token_us_per_frame is not None
    assert outcome.cost.rss_kib_per_call is not None
    assert outcome.cost.backend_cores is not None


@pytest.mark.interop(tool="softhsm2-util")
def test_every_rate_that_has_a_codec_and_keys_that_turn_in_the_middle(directory: Path) -> None:
    said: list[str] = []
    changes = ("voice.epoch_seconds=2", "voice.messages_per_key=20")
    wanted = Wanted(
        config=directory, routes=("echo", "echo"), changes=changes, audio=SPEECH, sessions=8, seconds=3.0, tick=1000
    )
    with ExitStack() as stack:
        outcome = run_load(prepare(wanted, stack, said.append))
    carried_whole(outcome)
    assert [route.sessions for route in outcome.routes] == [4, 4]
    assert [Path(line.split()[1]).name for line in said] == ["README.md"]


@pytest.mark.interop(tool="softhsm2-util")
def test_a_proxy_that_is_killed_leaves_a_part_and_says_why(directory: Path) -> None:
    trust = trust_from_directory(directory)
    with served_proxy(directory) as proxy:
        port = proxy.addresses[0].rpartition(":")[2]
        target = Target(url=f"wss://localhost:{port}/echo", anchors=trust.anchors, ca=trust.ca)
        plan = Plan(targets=(target,), sessions=3, seconds=60.0, watched=Watched(proxy=(proxy.pid,)))

        def kill_when_it_measures(progress: Progress) -> None:
            if progress.carried:
                os.kill(proxy.pid, signal.SIGKILL)

        outcome = run_load(plan, kill_when_it_measures)
    (route,) = outcome.routes
    assert outcome.is_partial
    assert route.carried > 0
    assert route.calls_ended == 3
    assert route.reasons == {"the call was cut off: the connection ended and nobody said why": 3}
    assert outcome.seconds < 60


@pytest.mark.interop(tool="softhsm2-util")
def test_a_server_that_is_not_the_one_trusted_is_a_reason(directory: Path, tmp_path: Path) -> None:
    other = trust_from_directory(make_directory(tmp_path, name="other"))
    trust = trust_from_directory(directory)
    with served_proxy(directory) as proxy:
        port = proxy.addresses[0].rpartition(":")[2]
        url = f"wss://localhost:{port}/echo"
        target = Target(url=url, anchors=other.anchors, ca=trust.ca)
        outcome = run_load(Plan(targets=(target,), sessions=2, seconds=1.0))
    assert outcome.handshakes.failed == 2
    assert [reason.partition(" (")[0] for reason in outcome.routes[0].reasons] == [
        "the server did not prove that it is the one you trust"
    ]


@pytest.mark.interop(tool="haproxy")
def test_opaque_messages_through_tls_and_a_foreign_proxy(tmp_path: Path) -> None:
    program = find_program("haproxy")
    assert program is not None
    with echo_backend() as backend, run_peer(program, UNPINNED, tmp_path, backend.port, 5) as peer:
        assert peer.target.kind is Kind.OPAQUE
        outcome = run_load(Plan(targets=(peer.target,), sessions=5, seconds=2.0, watched=peer.watched, name="haproxy"))
    carried_whole(outcome)
    assert (outcome.name, outcome.offered) == ("haproxy", 500)
    assert outcome.cost.proxy_us_per_frame is not None


@pytest.mark.interop(tool="softhsm2-util")
def test_ctrl_c_ends_the_run_and_not_its_report(directory: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "loadtest",
        "run",
        "--config",
        directory,
        "--seconds",
        "60",
        "--sessions",
        "2",
        "--json",
    ]
    for seconds in (4, 20, 50):  # it says nothing when it begins, which on a busy machine is later
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=60)
        if stderr.startswith("loadtest: stopped by hand after "):
            break
    assert process.returncode == 130
    assert stderr.startswith("loadtest: stopped by hand after ")
    assert len(stderr.splitlines()) == 1
    assert json.loads(stdout)["is_partial"] is True


@pytest.mark.interop(tool="softhsm2-util")
def test_callers_who_interrupt_hear_soon_that_the_answer_is_dropped(directory: Path, tmp_path: Path) -> None:
    changes = ["seconds=1", "groups.talkers.calls=3", "groups.talkers.talks_seconds=0.2"]
    file = tmp_path / "barge-in-and-opus.toml"
    file.write_text(find_scenario("barge-in").read_text() + '[groups.opus]\ncalls = 1\ncodec = "opus"\n')
    scenario = read_scenario(file, changes)
    with ExitStack() as stack:
        outcome = run_load(prepare(Wanted(config=directory, raw=True, scenario=scenario), stack, pytest.fail))
    carried_whole(outcome)
    talkers, opus = outcome.routes
    assert (talkers.group, opus.group) == ("talkers", "opus")
    assert 3 <= talkers.clears.count <= 6
    assert opus.clears.count == 0
