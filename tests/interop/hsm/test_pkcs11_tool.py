"""Keys that tokens hold for others, as a foreign PKCS#11 tool sees and uses them, and its keys in ours."""

import hashlib
import os
import re
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from sottovoce.hsm import find_softhsm
from sottovoce.hsm.errors import KeyAbsent, OperationRefused
from sottovoce.hsm.kinds import KeyKind, WrapMechanism
from sottovoce.primitives import verify_spki
from tests.hsm.operations.asking import OneToken
from tests.hsm.operations.conftest import SOFTHSM, OpenTokens

pytestmark = pytest.mark.interop(tool="pkcs11-tool")
MESSAGE = b"what both sign"
PSS = ("RSA-PKCS-PSS", "--hash-algorithm", "SHA384", "--mgf", "MGF1-SHA384", "--salt-len", "48")
HOW = {
    KeyKind.ECDSA_P256: (hashlib.sha256(MESSAGE).digest(), ("ECDSA", "--signature-format", "rs")),
    KeyKind.ECDSA_P384: (hashlib.sha384(MESSAGE).digest(), ("ECDSA", "--signature-format", "rs")),
    KeyKind.ED25519: (MESSAGE, ("EDDSA",)),
    KeyKind.RSA_PSS_3072: (hashlib.sha384(MESSAGE).digest(), PSS),
}
"""What the tool is given, and how it is told to sign."""


class Tool:
    """pkcs11-tool on the token of a directory, logged in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str) -> str:
        pin = (self.directory / "pin").read_text().strip()
        environment = os.environ | {"SOFTHSM2_CONF": str(self.directory / "softhsm2.conf"), "TOKEN_PIN": pin}
        command = ["pkcs11-tool", "--module", find_softhsm(), "--token-label", "operations"]
        command += ["--login", "--pin", "env:TOKEN_PIN", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def id_of(self, label: str, kind: str) -> str:
        return self.listed(kind)[label]["ID"]

    def listed(self, kind: str) -> dict[str, dict[str, str]]:
        """Give the objects of a kind by their label, each with its lines."""
        blocks = re.split(r"^(?=\S)", self.run("--list-objects", "--type", kind), flags=re.MULTILINE)
        lines = [dict(re.findall(r"^\s+(\w+):\s+(.*?)\s*$", block, re.MULTILINE)) for block in blocks]
        return {each["label"]: each for each in lines if each.get("label", "").startswith("key/")}

    def sign(self, label: str, data: bytes, how: tuple[str, ...]) -> bytes:
        source, target = self.directory / "data", self.directory / "signature"
        source.write_bytes(data)
        key = ("--id", self.id_of(label, "privkey"))
        self.run("--sign", *key, "--mechanism", *how, "--input-file", str(source), "--output-file", str(target))
        return target.read_bytes()

    def verify(self, label: str, data: bytes, signature: bytes, how: tuple[str, ...]) -> bool:
        source, target = self.directory / "data", self.directory / "signature"
        source.write_bytes(data)
        target.write_bytes(signature)
        key = ("--id", self.id_of(label, "pubkey"))
        said = self.run(
            "--verify", *key, "--mechanism", *how, "--input-file", str(source), "--signature-file", str(target)
        )
        assert ("Signature is valid" in said) is not ("Invalid signature" in said), said
        return "Signature is valid" in said


@pytest.fixture
async def token(opened: OpenTokens) -> AsyncGenerator[OneToken]:
    async with opened(SOFTHSM) as pool:
        yield OneToken(pool)


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path / "a")


async def test_it_sees_the_same_keys_protected_as_we_say(token: OneToken, tool: Tool) -> None:
    ours = {kind: await token.generate(f"key/{kind}", kind) for kind in KeyKind if kind is not KeyKind.RSA_PSS_4096}
    extractable = await token.generate("key/extractable", KeyKind.AES_256_GCM, is_extractable=True)
    private, secret, public = (tool.listed(kind) for kind in ("privkey", "secrkey", "pubkey"))
    pairs = {facts.label for kind, facts in ours.items() if not kind.is_secret}
    assert set(private) == set(public) == pairs
    assert set(secret) == {facts.label for kind, facts in ours.items() if kind.is_secret} | {extractable.label}
    usages = {facts.label: (private | secret)[facts.label]["Usage"] for facts in ours.values()}
    for kind, facts in ours.items():
        access = (private | secret)[facts.label]["Access"]
        assert access == "sensitive, always sensitive, never extractable, local"
        wanted = {
            KeyKind.HMAC_SHA384: "verify",  # it leaves out that a secret key signs
            KeyKind.AES_256_GCM: "encrypt, decrypt",
            KeyKind.AES_256_WRAP: "wrap, unwrap",
            KeyKind.ECDH_P384: "derive",
        }
        assert usages[facts.label] == wanted.get(kind, "sign")
    assert secret[extractable.label]["Access"] == "sensitive, always sensitive, extractable, local"
    for label in pairs:
        assert private[label]["ID"] == public[label]["ID"]
    assert len({each["ID"] for each in (private | secret).values()}) == len(private | secret)


@pytest.mark.parametrize("kind", HOW)
async def test_a_signature_of_ours_is_right_there_and_one_of_its_own_is_right_here(
    token: OneToken, tool: Tool, kind: KeyKind
) -> None:
    public = (await token.generate("key/one", kind)).public
    data, how = HOW[kind]
    ours = await token.sign("key/one", MESSAGE)
    assert tool.verify("key/one", data, ours, how)
    assert not tool.verify("key/one", data, ours[:-1] + bytes([ours[-1] ^ 1]), how)
    theirs = tool.sign("key/one", data, how)
    assert theirs != ours or kind is KeyKind.ED25519
    assert verify_spki(public, MESSAGE, theirs)
    assert await token.verify("key/one", MESSAGE, theirs)
    assert not await token.verify("key/one", MESSAGE + b".", theirs)


async def test_a_key_that_it_made_is_used_here(token: OneToken, tool: Tool) -> None:
    tool.run("--keypairgen", "--key-type", "EC:secp384r1", "--label", "key/theirs", "--usage-sign", "--id", "0102")
    facts = (await token.find("key/theirs"))[0]
    assert facts.kind is KeyKind.ECDSA_P384
    await token.prove("key/theirs")
    data, how = HOW[KeyKind.ECDSA_P384]
    assert tool.verify("key/theirs", data, await token.sign("key/theirs", MESSAGE), how)


@pytest.mark.parametrize(("kind", "usage"), [("AES:16", "decrypt"), ("GENERIC:20", "sign")])
async def test_a_key_of_it_that_is_shorter_than_ours_is_none_of_our_kinds(
    token: OneToken, tool: Tool, kind: str, usage: str
) -> None:
    await token.generate("key/wrapping", KeyKind.AES_256_WRAP)
    tool.run("--keygen", "--key-type", kind, "--label", "key/short", f"--usage-{usage}", "--extractable")
    assert [facts.label for facts in await token.find()] == ["key/wrapping"]
    with pytest.raises(OperationRefused, match="key/short is a key of a kind that is not used here"):
        await token.wrap("key/wrapping", "key/short", WrapMechanism.AES_KWP)
    assert token.pool.replacements == 0


async def test_a_key_whose_label_is_no_text_hides_no_other(token: OneToken, tool: Tool) -> None:
    await token.generate("key/one", KeyKind.AES_256_GCM)
    tool.run("--keygen", "--key-type", "AES:32", "--label", os.fsdecode(b"key/\xff"))
    assert [facts.label for facts in await token.find()] == ["key/one"]


async def test_a_key_that_it_destroyed_is_gone_here_after_the_process_was_replaced(token: OneToken, tool: Tool) -> None:
    """To the process it looks like a token that is not what it was."""
    await token.generate("key/one", KeyKind.ECDSA_P384)
    await token.sign("key/one", MESSAGE)
    for kind in ("privkey", "pubkey"):
        tool.run("--delete-object", "--type", kind, "--label", "key/one")
    with pytest.raises(KeyAbsent, match="the token has no key key/one"):
        await token.sign("key/one", MESSAGE)
    assert token.pool.replacements <= 1
    assert await token.find() == []
