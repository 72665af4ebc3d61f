"""Runs a fuzz target under atheris in a process of its own, and reads what came of it.

atheris' loop never returns and counts coverage for a whole process, so each run has its own; the input that shows a
fault is written beside the corpus and told with the traceback.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.running import ROOT, environment

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
"""How long each target runs at most."""
SEED = int(os.environ.get("FUZZ_SEED", "1"))
"""Where the chance of `make test` begins: a test run goes the same way each time.  0 and `make soak` go others."""
RUNS = {
    "records": 125_000,
    "messages": 375_000,
    "certificate": 75_000,
    "json_files": 125_000,
    "configuration": 10_000,
    "binary_files": 50_000,
    "callers": 87_500,
    "addresses": 250_000,
    "backend": 250_000,
    "audiosocket": 15_000,
    "realtime": 15_000,
    "mux": 20_000,
    "websocket_server": 30_000,
    "websocket_client": 18_750,
    "tls_records": 3_000,
    "server_session": 4_000,
    "client_session": 4_500,
    "two_ends": 1_250,
    "lossy": 875,
    "edge": 3_750,
}
"""How far that way goes at most, some ten seconds on a busy core: a faster machine tests no other code than a
slower one did, and what fails fails everywhere.  It is the same way each time, so going further along it finds little
that the run before did not; `make soak` goes ways of its own, without a limit."""
_EXTRA_SECONDS = 120
"""To import everything under instrumentation, to run the corpus, and to come to an end."""
_progress = re.compile(r"^#\d+\s+(?:INITED|DONE)\s+cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
_runs = re.compile(r"number_of_executed_units: (\d+)")
_artifact = re.compile(r"Test unit written to (\S+)")
_TOLD_LINES = 40


class Campaign(msgspec.Struct, frozen=True):
    """What a run came to."""

    name: str
    seconds: int
    runs: int
    covered_at_first: int
    covered: int
    inputs: int
    fault: str | None

    def __str__(self) -> str:
        """One line for people."""
        speed = self.runs / max(self.seconds, 1)
        return (
            f"{self.name:<18}{self.runs:>9} runs{speed:>8.0f}/s   {self.covered:>5} edges, "
            f"{self.covered - self.covered_at_first:>4} of them new{self.inputs:>6} inputs"
        )


def run_campaign(name: str, place: Path, seconds: int = SECONDS, seed: int = SEED) -> Campaign:
    """Fuzz one target for so long, in a directory of its own; with a seed, no further than `RUNS` says."""
    runs_at_most = RUNS[name] if seed else -1
    findings = place / name / "findings"
    findings.mkdir(parents=True)
    words = ["run", name, "--seconds", str(seconds), "--runs", str(runs_at_most), "--seed", str(seed)]
    words += ["--corpus", str(place / name / "corpus")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words, "--findings", str(findings)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=ROOT,
        env=environment(PYTHONHASHSEED="0"),
        stdin=subprocess.DEVNULL,
        timeout=seconds + _EXTRA_SECONDS,
    )
    output = done.stdout + done.stderr
    covered = [tuple(map(int, found.groups())) for found in _progress.finditer(output)] or [(0, 0, 0)]
    runs = _runs.search(output)
    fault = None
    if done.returncode or runs is None:
        fault = "\n".join([*output.splitlines()[-_TOLD_LINES:], *_kept(output)])
    return Campaign(
        name=name,
        seconds=seconds,
        runs=int(runs[1]) if runs else 0,
        covered_at_first=covered[0][0],
        covered=covered[-1][0],
        inputs=covered[-1][2],
        fault=fault,
    )


def _kept(output: str) -> list[str]:
    """The input that shows the fault, so that it is not lost with the directory."""
    lines: list[str] = []
    for found in _artifact.finditer(output):
        path = Path(found[1])
        if path.exists():
            lines += [f"{path.name}: {path.read_bytes().hex()}", "keep it as tests/vectors/fuzz/<target>/<what>.bin"]
    return lines
