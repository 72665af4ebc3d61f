"""Our certificates, judged by OpenSSL's command line."""

import re
import subprocess
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sottovoce.app.places import CA_CERTIFICATE, ISSUING
from sottovoce.pki import ISSUE_LEAF, IssueLeaf
from tests.app.directories import DEADLINE, OpenToken

NAMES = ("voice.example.com", "*.calls.example", "127.0.0.1", "::1")
pytestmark = pytest.mark.interop(tool="openssl")


def openssl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def leaf(opened: OpenToken, directory: Path) -> Path:
    """A leaf for NAMES, as a DER file beside the certificates of the CA."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    question = IssueLeaf(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), NAMES)

    async def issue() -> bytes:
        async with opened() as token:
            return (await token.call(ISSUE_LEAF, question, deadline_seconds=DEADLINE)).certificate

    path = directory / "leaf.der"
    path.write_bytes(trio.run(issue))
    return path


def verify(leaf: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    directory = leaf.parent
    return openssl(
        "verify", "-x509_strict", "-policy_check", "-purpose", "sslserver",
        "-CAfile", str(directory / CA_CERTIFICATE), "-untrusted", str(directory / ISSUING), *more, str(leaf),
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        ("-verify_hostname", "voice.example.com"),
        ("-verify_hostname", "a.calls.example"),
        ("-verify_ip", "127.0.0.1"),
        ("-verify_ip", "::1"),
    ],
)
def test_the_chain_verifies_strictly_for_each_name(leaf: Path, name: tuple[str, str]) -> None:
    done = verify(leaf, *name)
    assert (done.returncode, done.stdout) == (0, f"{leaf}: OK\n"), done.stderr


@pytest.mark.parametrize(
    "name",
    [
        ("-verify_hostname", "other.example.com"),
        ("-verify_hostname", "a.b.calls.example"),
        ("-verify_ip", "127.0.0.2"),
        ("-purpose", "sslclient"),
        ("-attime", "4000000000"),
    ],
)
def test_it_verifies_for_nothing_else(leaf: Path, name: tuple[str, str]) -> None:
    assert verify(leaf, *name).returncode != 0


def test_a_leaf_is_no_ca(leaf: Path) -> None:
    directory = leaf.parent
    done = openssl("verify", "-CAfile", str(leaf), "-partial_chain", str(directory / ISSUING))
    assert done.returncode != 0


def text_of(path: Path) -> str:
    done = openssl("x509", "-in", str(path), "-noout", "-text")
    assert done.returncode == 0, done.stderr
    return re.sub(r"\s+", " ", done.stdout)


def test_the_leaf_says_what_we_promise(leaf: Path) -> None:
    text = text_of(leaf)
    for line in (
        "Signature Algorithm: ecdsa-with-SHA384",
        "Public Key Algorithm: id-ecPublicKey Public-Key: (256 bit)",
        "NIST CURVE: P-256",
        "X509v3 Basic Constraints: critical CA:FALSE",
        "X509v3 Key Usage: critical Digital Signature X509v3",
        "X509v3 Extended Key Usage: TLS Web Server Authentication X509v3",
        "DNS:voice.example.com, DNS:*.calls.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
    ):
        assert line in text
    assert "CRL Distribution" not in text
    assert openssl("x509", "-in", str(leaf), "-noout", "-checkend", "85000").returncode == 0
    assert openssl("x509", "-in", str(leaf), "-noout", "-checkend", "86400").returncode == 1


def test_the_ca_certificates_say_what_we_promise(made_directory: Path) -> None:
    for file, path_length in ((CA_CERTIFICATE, 1), (ISSUING, 0)):
        text = text_of(made_directory / file)
        for line in (
            "Signature Algorithm: ecdsa-with-SHA384",
            "Public-Key: (384 bit)",
            "NIST CURVE: P-384",
            f"X509v3 Basic Constraints: critical CA:TRUE, pathlen:{path_length}",
            "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
        ):
            assert line in text
