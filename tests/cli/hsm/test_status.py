"""`sottovoce hsm status`: the tokens of a running proxy, the worst first."""

import os
import pty
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sottovoce.admin import Concern, HsmStatus, Status, TokenStatus
from tests.admin.listening import HEALTHY
from tests.cli.conftest import Cli
from tests.cli.watching.telling import telling
from tests.running import SOTTOVOCE, START_SECONDS, environment, running_proxy

GONE = Concern("degraded", "hsm.b", "down since 12 s: its process ended", "it is started again by itself")
BACKEND = Concern("degraded", "backend.bot", "refused", "start it")
TOKENS = (
    TokenStatus("a", "up", 60, 0, in_flight=2, is_suspect=True, suspicions=3),
    TokenStatus("b", "down", 12, 4, "its process ended"),
    TokenStatus("c", "up", 60, 0),
)


def saying(*concerns: Concern, tokens: tuple[TokenStatus, ...] = TOKENS) -> Status:
    hsm = HsmStatus("up", 60, 4, 12, quorum=2, tokens=tokens, waiting=7, hedges_won=3, hedges_lost=1)
    return msgspec.structs.replace(HEALTHY, hsm=hsm, concerns=concerns)


def test_the_worst_stands_first(cli: Cli) -> None:
    with telling(saying(BACKEND, GONE)) as url:
        ran = cli("hsm", "status", url)
    assert (ran.code, ran.err) == (3, "")
    assert ran.out.splitlines() == [
        "hsm up · 2 of 3 up, a new key takes 2 · 7 waiting · 12 roots signed · sent twice: 3 won, 1 lost",
        "TOKEN  STATE    SINCE  IN FLIGHT  LATE  RESTARTS  WHY",
        "b      down     12 s   0          0     4         its process ended",
        "a      suspect  1 min  2          3     0",
        "c      up       1 min  0          0     0",
        "degraded  hsm.b: down since 12 s: its process ended: it is started again by itself",
    ]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (saying(BACKEND, tokens=TOKENS[2:]), 0),
        (saying(Concern("notice", "hsm.c", "lost once", "nothing"), tokens=TOKENS[2:]), 0),
        (saying(Concern("degraded", "hsm", "too few", "mend it"), tokens=TOKENS[2:]), 3),
        (saying(tokens=TOKENS[:1]), 3),
    ],
)
def test_it_ends_well_if_the_tokens_are(cli: Cli, status: Status, code: int) -> None:
    with telling(status) as url:
        assert cli("hsm", "status", url).code == code
        ran = cli("hsm", "status", url, "--json")
    assert (ran.code, ran.json["ok"], ran.json["schema"]) == (code, code == 0, "sottovoce.hsm.status.1")
    assert (ran.json["waiting"], ran.json["quorum"]) == (7, 2)


def test_nobody_answers(cli: Cli) -> None:
    assert "nobody answers at http://127.0.0.1:1 " in cli("hsm", "status", "http://127.0.0.1:1").said


def test_on_a_terminal_it_is_watched_until_ctrl_c() -> None:
    ours, theirs = pty.openpty()
    words = [*SOTTOVOCE, "hsm", "status", "--watch"]
    with (
        telling(saying(tokens=TOKENS[2:])) as url,
        subprocess.Popen([*words, url], stdin=theirs, stdout=theirs, env=environment(TERM="xterm")) as watching,
    ):
        seen, give_up_at = b"", time.monotonic() + 60
        while seen.count(b"7 waiting") < 2:
            assert time.monotonic() < give_up_at, seen
            seen += os.read(ours, 65_536)
        watching.send_signal(2)
        assert watching.wait(60) == 0
    os.close(ours)
    os.close(theirs)


def until_well(cli: Cli, url: str) -> dict[str, Any]:
    """Ask until all are well: calls can come, and the proxy is called ready, as soon as one token is up."""
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        found = cli("hsm", "status", url, "--json").json
        if found["ok"] or time.monotonic() > give_up_at:
            return found


@pytest.mark.interop(tool="softhsm2-util")
def test_a_real_proxy_tells_of_its_tokens(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "two"
    assert cli("init", place, "--tokens", "2", "--port", "0", "--admin-port", "0").code == 0
    with running_proxy(place) as proxy:
        found = until_well(cli, proxy.admin)
    assert found["ok"], found
    assert [(each["name"], each["state"], each["is_suspect"]) for each in found["tokens"]] == [
        ("a", "up", False),
        ("b", "up", False),
    ]
    assert (found["quorum"], found["waiting"]) == (2, 0)
