"""A token in SoftHSM, named by URI, with its PIN from elsewhere than a file."""

import os
from pathlib import Path

import pytest

from sottovoce.hsm import STATUS, PinUnreadable, Status, TokenEvent, TokenMissing, find_softhsm
from sottovoce.hsm.pool.child import Spawner
from sottovoce.hsm.vendors import Vendor
from tests.hsm.conftest import OpenToken, pid_of

PIN = "SOTTOVOCE_TEST_PIN"
HERE = "pkcs11:token=sottovoce;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;library-manufacturer=SoftHSM"


async def serves(opened: OpenToken, **changes: object) -> None:
    async with opened(**changes) as token:
        await token.call(STATUS, Status(), deadline_seconds=60)


async def test_a_token_by_its_uri(opened: OpenToken, directory: Path) -> None:
    await serves(opened, uri=f"{HERE}?module-path={find_softhsm()}&pin-source=file:secrets/pin", token="not used")


@pytest.mark.parametrize("more", ["serial=0000", "manufacturer=Thales", "slot-id=0", "library-version=9.9"])
async def test_what_the_uri_says_beside_the_label_has_to_be_so(opened: OpenToken, more: str) -> None:
    with pytest.raises(TokenMissing, match=r"^no token that is called 'sottovoce' is as hsm.uri says: correct"):
        await serves(opened, uri=f"pkcs11:token=sottovoce;{more}")


async def test_a_pin_from_the_environment(opened: OpenToken, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = directory / "secrets/pin"
    monkeypatch.setenv(PIN, pin.read_text().strip())
    pin.unlink()
    await serves(opened, pin_source=f"env:{PIN}")


async def test_a_pin_from_a_descriptor_serves_each_process_anew(
    opened: OpenToken, directory: Path, events: list[TokenEvent]
) -> None:
    pin = directory / "secrets/pin"
    descriptor = os.open(pin, os.O_RDONLY | os.O_CLOEXEC)
    os.set_inheritable(descriptor, True)  # noqa: FBT003  as a shell leaves it
    pin.unlink()
    try:
        async with opened(pin_source=f"fd:{descriptor}") as token:
            first = pid_of(events)
            os.kill(first, 9)
            await token.call(STATUS, Status(), deadline_seconds=60)
            assert pid_of(events) != first
    finally:
        os.close(descriptor)


async def test_a_descriptor_that_is_not_open_is_named(opened: OpenToken) -> None:
    with pytest.raises(PinUnreadable, match=r"^descriptor 1023 cannot be read"):
        await serves(opened, pin_source="fd:1023")


async def test_a_file_that_we_opened_ourselves_is_not_tried_as_a_pin(opened: OpenToken, directory: Path) -> None:
    log = directory / "log"
    log.write_bytes(b"something of ours\n")
    with log.open("rb") as file, pytest.raises(PinUnreadable, match=rf"^descriptor {file.fileno()} cannot be read"):
        await serves(opened, pin_source=f"fd:{file.fileno()}")


async def test_a_pin_that_cannot_be_the_vendors_is_not_tried(
    opened: OpenToken, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serves(opened)
    monkeypatch.setenv("SOFTHSM2_CONF", str(directory / "hsm/softhsm2.conf"))
    with pytest.raises(PinUnreadable, match="is not of the form user:password, as aws_cloudhsm wants it: mend it"):
        await serves(opened, vendor=Vendor.AWS_CLOUDHSM, module=find_softhsm())


async def test_a_token_process_does_not_get_other_tokens_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN_A", "1")
    monkeypatch.setenv("PIN_B", "2")
    told = tmp_path / "told"
    spawner = Spawner(("sh", "-c", f"env >{told}"), {}, without=frozenset({"PIN_B"}))
    async with await spawner.spawn() as child:
        assert await child.receive() is None
    spawner.close()
    assert "PIN_A=1\n" in told.read_text()
    assert "PIN_B" not in told.read_text()
