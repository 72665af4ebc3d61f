import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from sottovoce.app import demo
from sottovoce.app.demo import RECORDING, DemoFailed, find_recording
from sottovoce.client import Ended, Statistics
from tests.app.demonstrations import shown
from tests.recordings import samples_of
from tests.running import ROOT, environment, sottovoce

SPEECH = ROOT / "loadtest/audio" / RECORDING
FIELDS = (
    "schema ok tls_group suite server_signatures epochs generations frames_sent frames_returned frames_lost "
    "audio_identical wav"
)


@pytest.mark.interop(tool="softhsm2-util")
def test_the_demo_shows_what_it_promises(tmp_path: Path) -> None:
    """The whole of it, once: token, certificates, backend, proxy, call."""
    (tmp_path / "http.py").write_text("raise RuntimeError('not ours')")
    command = (sys.executable, "-P", "-m", "sottovoce", "demo", "--json")
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment())
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("\n") == 1
    shown = json.loads(ran.stdout)
    assert list(shown) == FIELDS.split()
    assert shown["schema"] == "sottovoce.demo.1"
    assert shown["ok"] is True
    assert shown["tls_group"] == "X25519MLKEM768"
    assert shown["suite"] == "X25519MLKEM768_AES256GCM"
    assert shown["server_signatures"] == ["ECDSA_P384", "MLDSA65"]
    assert shown["epochs"] >= 3
    assert shown["generations"] >= shown["epochs"]
    assert (shown["frames_sent"], shown["frames_returned"], shown["frames_lost"]) == (300, 300, 0)
    assert shown["audio_identical"] is True
    assert shown["wav"] == "demo-out/returned.wav"
    assert samples_of(tmp_path / "demo-out/returned.wav") == samples_of(SPEECH)
    assert {path.name for path in tmp_path.iterdir()} == {"http.py", "demo-out"}


def test_all_must_be_well_for_it_to_be_ok() -> None:
    assert shown().is_ok
    for otherwise in (
        {"audio_identical": False},
        {"frames_lost": 1},
        {"ended": None},
        {"ended": Ended(1006, "", truncated=True, local=False)},
        {"statistics": Statistics(epochs=2)},
        {"roots_signed": 3},
        {"roots_signed": 0, "batches_served": 0},
    ):
        assert not shown(**otherwise).is_ok, otherwise


def test_the_recording_is_found_in_a_checkout_or_beside_the_module() -> None:
    assert find_recording() == SPEECH


def test_a_missing_recording_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "_PLACES", (tmp_path,))
    with pytest.raises(DemoFailed, match=r"the bundled recording speech-16k\.wav is missing: restore loadtest/audio"):
        find_recording()


def test_the_wheel_carries_the_recording_to_where_it_is_looked_for(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        inside = f"sottovoce/{demo.__name__.split('.')[1]}/{RECORDING}"
        assert archive.read(inside) == SPEECH.read_bytes()
        assert not [name for name in archive.namelist() if name.startswith(("tests/", "loadtest/"))]


def test_where_nothing_can_be_kept_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "demo-out").write_text("in the way")
    ran = sottovoce("demo", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "sottovoce: demo-out cannot be made (File exists): run the demo in a directory that you may write to\n"
    )


@pytest.mark.interop(tool="softhsm2-util")
def test_a_proxy_that_does_not_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    ran = sottovoce("demo", cwd=tmp_path, env=environment(SSLKEYLOGFILE="keys", TMPDIR=str(tmp_path)))
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("sottovoce: the proxy did not start: process.allow_tls_environment: the environment ")
    assert [path.name for path in tmp_path.iterdir()] == ["demo-out"]
