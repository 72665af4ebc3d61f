"""`--help` of every command takes no more than four times what a bare interpreter takes.

Processor time is compared, by turns and as medians, as other tests may keep the machine busy meanwhile.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from loadtest.commands.tree import main as loadtest
from sottovoce.cli.tree import commands
from tests.cli.walking import all_commands
from tests.running import ROOT, environment

ROUNDS = 5
LIMIT = 4.0
_SCRIPT = str(Path(sys.executable).with_name("sottovoce"))
_BARE = "a bare interpreter"


def seconds(words: list[str]) -> float:
    """Processor time of a process, from its start to its end."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment(), cwd=ROOT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return usage.ru_utime + usage.ru_stime


def test_help_takes_no_more_than_four_bare_interpreters() -> None:
    asked = {_BARE: [sys.executable, "-c", "pass"]}
    asked |= {f"sottovoce {name}": [_SCRIPT, *name.split(), "--help"] for name, _ in all_commands(commands)}
    prefix = [sys.executable, "-m", "loadtest"]
    asked |= {f"loadtest {name}": [*prefix, *name.split(), "--help"] for name, _ in all_commands(loadtest)}
    took: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, words in asked.items():
            took[name].append(seconds(words))
    bare = statistics.median(took.pop(_BARE))
    ratios = {name: round(statistics.median(each) / bare, 2) for name, each in took.items()}
    assert {name: ratio for name, ratio in ratios.items() if ratio > LIMIT} == {}
