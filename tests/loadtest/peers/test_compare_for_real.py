"""Four calls for half a second through the real programs: every part meets every other; the figures mean nothing."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from loadtest.peers.contenders import MUX, SOTTOVOCE
from tests.running import ROOT, environment


@pytest.mark.interop(tool=("softhsm2-util", "haproxy", "nginx"))
def test_all_contenders_carry_every_frame(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    load = ("--sessions", "4", "--seconds", "0.5", "--rounds", "1", "--tick", "0")
    words = ("compare", "--against", "haproxy,nginx", "--ours", "raw,mux", *load, "--json", "--html")
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *words, str(page)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(TMPDIR=str(tmp_path)),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["missing"] == {}
    outcomes = [row["outcome"] for row in answer["rows"]]
    assert [each["name"] for each in outcomes] == [SOTTOVOCE, MUX, "haproxy", "nginx"]
    for each in outcomes:
        (route,) = each["routes"]
        assert (route["carried"], route["lost"], route["wrong"], route["calls_failed"]) == (route["offered"], 0, 0, 0)
        assert each["cost"]["proxy_us_per_frame"] > 0
        assert each["latency"]["p99"] > 0
    assert outcomes[0]["cost"]["token_us_per_frame"] is not None
    for each in answer["connections"]:
        assert (each["failed"], each["us_per_handshake"]["median"] > 0) == (0, True)
    ET.fromstring(page.read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>"))  # noqa: S314  our own page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
