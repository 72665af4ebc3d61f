"""Every program of docs/clients.md is run as printed, where `sottovoce serve voice` runs, and says what it should.

So each shell meets a real proxy, too.
"""

import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.running import RunningProxy, environment, make_directory, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")

PAGE = Path(__file__).parents[2] / "docs/clients.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
SAYS = (
    r"640 bytes came back, under X25519MLKEM768_AES256GCM\n",
    r"640 bytes came back\n",
    r"640 bytes came back\n",
    r"ended: normal after 2 frames\n",
    r"",
    r"heard: Audio\nno call: .*; there is no such route.*\nno call: cannot reach localhost:1: Connection refused; .*\n",
    r"by ticket: False\nby ticket: True\n",
    r"b'what was said'\n",
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    directory = make_directory(tmp_path_factory.mktemp("page"), name="voice")
    with running_proxy(directory) as proxy:
        yield proxy


def test_each_program_has_its_answer() -> None:
    assert len(PROGRAMS) == len(SAYS)


@pytest.mark.parametrize("number", range(len(SAYS)))
def test_a_program_runs_as_printed(proxy: RunningProxy, number: int) -> None:
    program = PROGRAMS[number].replace("wss://localhost:8443/", f"{proxy.url}/")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=proxy.directory.parent,
        env=environment(),
        timeout=60,
    )
    assert done.stderr == ""
    assert re.fullmatch(SAYS[number], done.stdout), done.stdout
    assert done.returncode == 0
