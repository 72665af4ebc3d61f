"""The token as a foreign PKCS#11 tool sees it: five keys, all different, made inside, which cannot be taken out."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from sottovoce.app.places import ANCHORS, CA_CERTIFICATE, ISSUING
from sottovoce.hsm import KeyName, find_softhsm
from sottovoce.identity import load_anchors

SIGNING = {str(name) for name in KeyName if name is not KeyName.KEK}
pytestmark = pytest.mark.interop(tool=("pkcs11-tool", "openssl"))


def pkcs11_tool(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {
        "SOFTHSM2_CONF": str(directory / "hsm/softhsm2.conf"),
        "TOKEN_PIN": (directory / "secrets/pin").read_text().strip(),
    }
    command = ["pkcs11-tool", "--module", find_softhsm(), "--token-label", "sottovoce", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def listed(directory: Path, kind: str) -> dict[str, dict[str, str]]:
    """Give the token's objects of a kind by their label, each with its lines."""
    done = pkcs11_tool(directory, "--login", "--pin", "env:TOKEN_PIN", "--list-objects", "--type", kind)
    assert done.returncode == 0, done.stderr
    objects = [block for block in re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE) if " Object;" in block]
    lines = [
        dict(re.findall(r"^\s+(\w+):\s+(.*)$", block, re.MULTILINE)) | {"kind": block.splitlines()[0]}
        for block in objects
    ]
    assert len({each["label"] for each in lines}) == len(lines)
    return {each["label"]: each for each in lines}


@pytest.mark.protocol("P6.21")
def test_signing_keys_were_made_inside_and_cannot_be_taken_out(made_directory: Path) -> None:
    keys = listed(made_directory, "privkey")
    assert set(keys) == SIGNING
    for key in keys.values():
        assert key["Access"] == "sensitive, always sensitive, never extractable, local"
        assert (key["Usage"], key["kind"]) == ("sign", "Private Key Object; EC")
    assert len({key["ID"] for key in keys.values()}) == 4


def test_the_key_that_seals_seeds_cannot_be_taken_out(made_directory: Path) -> None:
    keys = listed(made_directory, "secrkey")
    assert set(keys) == {KeyName.KEK}
    assert keys[KeyName.KEK]["Access"] == "sensitive, always sensitive, never extractable, local"
    assert keys[KeyName.KEK]["Usage"] == "encrypt, decrypt"
    assert keys[KeyName.KEK]["kind"] == "Secret Key Object; AES length 32"


@pytest.mark.protocol("P6.24")
def test_their_public_halves_are_all_different_and_the_ones_we_publish(made_directory: Path) -> None:
    points = {label: bytes.fromhex(key["EC_POINT"])[2:] for label, key in listed(made_directory, "pubkey").items()}
    assert set(points) == SIGNING
    assert len(set(points.values())) == 4
    assert load_anchors(made_directory / ANCHORS)[0].classical.key == points[KeyName.ANCHOR]
    for name, file in ((KeyName.ROOT_CA, CA_CERTIFICATE), (KeyName.ISSUING_CA, ISSUING)):
        shown = subprocess.run(
            ["openssl", "x509", "-in", str(made_directory / file), "-noout", "-text"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert points[name].hex(":") in re.sub(r"\s", "", shown)


def test_without_the_pin_no_private_key_is_seen(made_directory: Path) -> None:
    done = pkcs11_tool(made_directory, "--list-objects")
    assert "Private Key Object" not in done.stdout
    assert "Secret Key Object" not in done.stdout


def test_the_key_that_seals_seeds_is_not_given_out_to_whoever_has_the_pin(made_directory: Path, tmp_path: Path) -> None:
    """For private keys the tool has no such command; what it lists of them says the same."""
    out = tmp_path / "key"
    done = pkcs11_tool(
        made_directory, "--login", "--pin", "env:TOKEN_PIN", "--read-object", "--type", "secrkey",
        "--label", KeyName.KEK, "--output-file", str(out),
    )  # fmt: skip
    assert "get CKA_VALUE failed" in done.stderr or "CKR_ATTRIBUTE_SENSITIVE" in done.stderr
    assert not out.exists() or out.read_bytes() == b""
