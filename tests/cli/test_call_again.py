"""`sottovoce call --reconnect`: a recording goes on where its proxy went."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.recordings import write_recording
from tests.running import SOTTOVOCE, environment, running_proxy


def sent_elsewhere(directory: Path, wav: Path) -> dict[str, Any]:
    """Play it while the proxy stops and another takes its place; give what is said of it."""
    with running_proxy(directory, "process.drain_seconds=0") as first:
        address = first.addresses[0]
        words = ["call", f"{first.url}/echo", wav, "--dir", directory, "--reconnect", "--json"]
        with subprocess.Popen(
            [*SOTTOVOCE, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as call:
            while not first.events("session.established"):
                time.sleep(0.05)  # another process writes the log: there is nothing to wait on
            assert first.stop() == 0
            with running_proxy(directory, f"listener.address={address}"):
                out, err = call.communicate(timeout=60)
    found = json.loads(out)
    assert found["reconnects"] == 1, err
    return found


def test_after_a_drain_the_recording_goes_on_elsewhere(directory: Path, tmp_path: Path) -> None:
    wav = write_recording(tmp_path / "long.wav", seconds=8)
    lost: list[int] = []
    while not lost or (lost[-1] >= 20 and len(lost) < 3):
        # What is on its way is lost; where the proxy stands still, on a busy machine, that is more.
        found = sent_elsewhere(directory, wav)
        assert "4460 draining" in found["lost_calls"][0]
        assert found["frames_sent"] == 400
        assert found["frames_returned"] + found["frames_lost"] == 400
        assert found["ended"] == {"code": 1000, "name": "normal"}
        assert found["ok"] is (found["frames_lost"] == 0)
        assert found["epochs"] == 2
        lost.append(found["frames_lost"])
    assert lost[-1] < 20, lost
