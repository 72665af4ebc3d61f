import os
import pty
import subprocess
import time

import msgspec

from sottovoce.admin import CallCounts, RouteStatus
from tests.admin.listening import HEALTHY, HSM_DOWN
from tests.cli.conftest import Cli
from tests.cli.watching.telling import telling
from tests.running import SOTTOVOCE, environment

BUSY = msgspec.structs.replace(
    HEALTHY,
    state="degraded",
    routes=(
        RouteStatus("bot", CallCounts(2, 3, 40), "down", 12.0, "refused"),
        RouteStatus("echo", CallCounts(0, 0, 0), "built in", 90.0),
    ),
    concerns=(HSM_DOWN,),
)


def test_without_a_terminal_it_shows_things_once(cli: Cli) -> None:
    with telling(BUSY) as url:
        ran = cli("top", url)
    assert (ran.code, ran.err) == (3, "")
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["route", "calls", "peak", "total", "backend", "since"] in rows
    assert ["bot", "2", "3", "40", "down", "12", "s"] in rows
    assert "hsm: the token process is down" in ran.out
    assert "\x1b" not in ran.out


def test_json(cli: Cli) -> None:
    with telling(BUSY) as url:
        found = cli("top", url, "--json").json
    assert (found["schema"], found["ok"], found["state"]) == ("sottovoce.top.1", False, "degraded")
    assert found["routes"][0]["backend"] == "down"


def test_nobody_answers(cli: Cli) -> None:
    assert "nobody answers at http://127.0.0.1:1 " in cli("top", "http://127.0.0.1:1", "--once").said


def test_on_a_terminal_it_goes_on_until_ctrl_c() -> None:
    ours, theirs = pty.openpty()
    with (
        telling(HEALTHY) as url,
        subprocess.Popen([*SOTTOVOCE, "top", url], stdin=theirs, stdout=theirs, env=environment(TERM="xterm")) as top,
    ):
        seen, give_up_at = b"", time.monotonic() + 60
        while seen.count(b"no handshake yet") < 2:
            assert time.monotonic() < give_up_at, seen
            seen += os.read(ours, 65_536)
        top.send_signal(2)
        assert top.wait(60) == 0
    os.close(ours)
    os.close(theirs)
