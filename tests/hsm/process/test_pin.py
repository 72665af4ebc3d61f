"""Where a token process reads its PIN."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.hsm import PinUnreadable
from sottovoce.hsm.process.pin import check_form, read_pin
from sottovoce.hsm.vendors import PinSource, parse_pin_source
from sottovoce.primitives import Secret

NAME = "SOTTOVOCE_TEST_PIN"
Give = Callable[[bytes], PinSource]


@pytest.fixture(params=["file", "env", "fd"])
def give(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Give:
    """Put bytes where a PIN may be, and say where that is."""

    def give(content: bytes) -> PinSource:
        file = tmp_path / "pin"
        file.write_bytes(content)
        file.chmod(0o600)
        if request.param == "env":
            monkeypatch.setenv(NAME, os.fsdecode(content))
            return parse_pin_source(f"env:{NAME}")
        if request.param == "file":
            return parse_pin_source(f"file:{file}")
        descriptor = os.open(file, os.O_RDONLY)
        request.addfinalizer(lambda: os.close(descriptor))
        return parse_pin_source(f"fd:{descriptor}")

    return give


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_pin_is_read_without_the_end_of_its_line(give: Give, end: bytes) -> None:
    source = give(b"user:pass word\xff" + end)
    for _ in range(2):  # a process that starts anew reads it again
        with read_pin(source) as pin:
            assert bytes(pin.expose()) == b"user:pass word\xff"


@pytest.mark.parametrize("content", [b"", b"\n", b"3" * 256, b"3" * 300])
def test_nothing_and_too_much_are_no_pin(give: Give, content: bytes) -> None:
    source = give(content)
    with pytest.raises(PinUnreadable, match="is empty or too long: put the token's user PIN there") as refused:
        read_pin(source)
    assert "33" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/no/such/pin", r"the PIN file /no/such/pin cannot be read \(No such file or directory\): set hsm.pin_file"),
        (f"env:{NAME}", f"the environment variable {NAME} is not set: start the proxy with the PIN in it"),
        ("fd:1023", r"descriptor 1023 cannot be read \(Bad file descriptor\): start the proxy with 1023<FILE"),
    ],
)
def test_a_pin_that_is_not_there(text: str, why: str) -> None:
    with pytest.raises(PinUnreadable, match="^" + why):
        read_pin(parse_pin_source(text))


def test_a_file_that_is_open_to_others(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_bytes(b"1234")
    file.chmod(0o640)
    with pytest.raises(PinUnreadable, match=r"is open to others \(mode 0640\): chmod 600"):
        read_pin(parse_pin_source(str(file)))


def test_a_pipe_would_give_its_pin_only_once() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"1234")
    try:
        with pytest.raises(PinUnreadable, match=f"descriptor {reading} is no file, .*: write {reading}<FILE"):
            read_pin(parse_pin_source(f"fd:{reading}"))
    finally:
        os.close(reading)
        os.close(writing)


def test_a_pin_of_the_wrong_form_is_told_before_it_is_tried() -> None:
    source = parse_pin_source("secrets/pin")
    with Secret("PIN", b"password") as pin:
        check_form(pin, "", source)
        check_form(pin, "thales", source)
        with pytest.raises(PinUnreadable, match=r"^the PIN in secrets/pin is not of the form user:password, as aws"):
            check_form(pin, "aws_cloudhsm", source)
