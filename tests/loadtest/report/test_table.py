import re

import pytest

from loadtest.replay.outcome import Cost
from loadtest.report import describe
from tests.loadtest.report.outcomes import outcome, route, silent

LABELS = [
    "frames", "added latency", "handshakes", "proxy", "token process", "memory", "generator", "backend", "machine",
    "started",
]  # fmt: skip


def lines(found: list[str]) -> dict[str, str]:
    """What each line says, by its label."""
    return {line[2:18].strip(): line[19:] for line in found[1:]}


def test_a_sound_run() -> None:
    found = describe(outcome())
    assert found[0] == "sottovoce: 100 calls, 50 frames/s each way, 10 s, each frame at an instant of its own"
    said = lines(found)
    assert list(said) == LABELS
    assert said["frames"] == "50 000 offered, 49 990 carried, 10 lost (0.02 %)"
    assert said["added latency"] == "p50 0.80 ms  p99 2.10 ms  p99.9 4.40 ms  highest 9.00 ms"
    assert said["handshakes"].startswith("100 done, 0 failed, 83.2/s, p50 6.40 ms")
    assert said["proxy"] == "21.2 µs of processor per forwarded frame, 0.43 cores busy"
    assert said["token process"] == "0.10 µs of processor per forwarded frame"
    assert said["memory"] == "61.4 KiB per call"
    assert said["generator"] == "lateness p99 0.21 ms, 0.70 cores busy"


@pytest.mark.parametrize(
    "run", [outcome(), silent(), silent(discarded="the generator was the limit"), outcome(cost=silent().cost)]
)
def test_no_line_is_empty_and_nowhere_stands_a_dash(run: object) -> None:
    for line in describe(run):  # type: ignore[arg-type]
        assert line.strip()
        assert not re.search(r"(^|\s)[-–—](\s|$)", line)
        assert "None" not in line
        assert "nan" not in line.split()


def test_latency_that_is_none_is_said_in_words() -> None:
    said = lines(describe(silent()))
    assert said["added latency"] == "no frame came back"
    assert said["proxy"].startswith("not seen")
    assert said["calls failed"] == "100"
    assert said["because"] == "100 × refused"


def test_a_discarded_run_says_so_first() -> None:
    second = describe(outcome(discarded="the generator was the limit: late by 7 ms"))[1]
    assert second.split(maxsplit=1) == [
        "DISCARDED",
        "the generator was the limit: late by 7 ms: the figures say nothing about sottovoce",
    ]


def test_a_partial_run_says_so() -> None:
    assert "partial" in lines(describe(outcome(is_partial=True)))


def test_several_routes_have_a_line_each() -> None:
    routes = (route(), route(url="wss://localhost:8443/bot", carried=0, wrong=3))
    found = [line for line in describe(outcome(routes=routes)) if line.startswith("  route")]
    assert len(found) == 2
    assert "wss://localhost:8443/bot" in found[1]
    assert "3 WRONG" in found[1]


def test_a_proxy_that_waited_for_others_says_so() -> None:
    cost = Cost(proxy_us_per_frame=20.0, proxy_cores=0.4, proxy_waited_cores=0.25)
    assert lines(describe(outcome(cost=cost)))["proxy"].endswith("kept waiting for 0.25 more: NOT A QUIET MACHINE")


def test_ticks_are_named() -> None:
    assert "gathered to ticks of 1000 µs" in describe(outcome(tick_us=1000))[0]
