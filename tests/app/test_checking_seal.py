"""What `check` and `doctor` say of a directory whose PINs are sealed."""

import os
from pathlib import Path

from sottovoce.app.checking import check
from sottovoce.app.doctor.token import TokenNames, key_findings, pin_findings
from sottovoce.app.places import token_places
from sottovoce.hsm.seal import SealStore
from sottovoce.settings import load
from tests.hsm.seal.made import made


def sealed(directory: Path, *nodes: str) -> Path:
    """Write a seal of these tokens' PINs, and say so in the configuration; the PINs' files are gone."""
    configuration = directory / "sottovoce.toml"
    configuration.write_text(f"{configuration.read_text()}\n[hsm.seal]\n")
    record = made(2, 3, pins=dict.fromkeys(nodes, b"1234")).record
    file = directory / "secrets/seal.json"
    SealStore(file, directory / "secrets/seal-state.json").create_record(record)
    for pin in (directory / "secrets").glob("*pin"):
        pin.unlink()
    return file


def test_no_file_with_a_pin_is_missed(three: Path) -> None:
    sealed(three, "a", "b", "c")
    report = check(three)
    assert (report.problems, report.of_tokens) == ((), ())


def test_a_token_that_is_not_among_the_sealed_is_named(three: Path) -> None:
    sealed(three, "a", "b")
    report = check(three)
    assert report.problems == ()
    (problem,) = report.of_tokens
    assert problem.path == "hsm.nodes.c"
    assert "not among the sealed" in problem.reason


def test_a_seal_that_is_missing_or_none_is_one_problem(three: Path) -> None:
    file = sealed(three, "a", "b", "c")
    file.write_text("{}")
    for reason in ("is no seal", "cannot be read"):
        (problem,) = check(three).problems
        assert problem.path == "hsm.seal.file"
        assert reason in problem.reason
        assert str(file) in problem.reason
        file.unlink(missing_ok=True)


def test_a_seal_that_is_a_pipe_is_not_waited_for(three: Path) -> None:
    file = sealed(three, "a", "b", "c")
    file.unlink()
    os.mkfifo(file)
    (problem,) = check(three).problems
    assert problem.path == "hsm.seal.file"


async def test_doctor_says_that_the_pin_is_sealed_and_tries_nothing(three: Path) -> None:
    file = sealed(three, "a", "b", "c")
    hsm = load(three / "sottovoce.toml").hsm
    places = token_places(hsm)[0]
    names = TokenNames.of(places)
    (pin,) = pin_findings(places.config, names, hsm.seal)
    assert str(file) in pin.what
    (keys,), looked = await key_findings(hsm, places, names, three, None)
    assert "the PIN is sealed" in keys.what
    assert looked is None
