import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.replay.outcome import Outcome
from loadtest.report import DrawingImpossible, write_png
from tests.loadtest.report.outcomes import outcome, silent


@pytest.mark.parametrize("run", [outcome(), silent(), outcome(discarded="it was late", tick_us=1000)])
def test_it_is_a_png(tmp_path: Path, run: Outcome) -> None:
    path = tmp_path / "run.png"
    write_png(run, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data[12:16] == b"IHDR"
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    assert width > 800
    assert height > 600


def test_without_matplotlib_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(DrawingImpossible, match=r"needs matplotlib.*make setup.*--html"):
        write_png(outcome(), tmp_path / "run.png")


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DrawingImpossible, match=r"No such file or directory.*name another file"):
        write_png(outcome(), tmp_path / "absent" / "run.png")


def test_matplotlib_is_loaded_by_a_picture_only() -> None:
    code = "import sys, loadtest.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
