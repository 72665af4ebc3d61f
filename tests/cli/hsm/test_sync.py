"""`sottovoce hsm sync`: what became of each key, and that the audit log tells of it."""

from pathlib import Path

import pytest
import trio

from sottovoce.audit import read_events
from sottovoce.hsm import KeyKind
from tests.app.hsm.making import made_keys, make_keys
from tests.cli.conftest import Cli
from tests.running import copy_directory, make_directory

pytestmark = pytest.mark.interop(tool="softhsm2-util")
P256, HMAC, WRAP = KeyKind.ECDSA_P256, KeyKind.HMAC_SHA384, KeyKind.AES_256_WRAP
GENERATED, COPIED = "key_generated", "key_copied"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return copy_directory(make_directory(tmp_path, "--tokens", "2", name="fresh"), tmp_path, "two")


def test_each_key_is_told_of(cli: Cli, two: Path) -> None:
    async def make() -> None:
        await made_keys(two, P256, HMAC, shared=[HMAC], extractable=[HMAC], on=["a"])
        await made_keys(two, WRAP, shared=[WRAP])

    trio.run(make)
    ran = cli("hsm", "sync", two, "a", "b")
    assert (ran.code, ran.err) == (0, "")
    _, wrap, p256, hmac, *own = ran.out.splitlines()
    assert wrap.split() == ["key/aes-256-wrap", "there", "already"]
    assert p256.split()[:3] == [f"key/{P256}", "made", "anew"]
    assert hmac.split()[:2] == ["key/hmac-sha384", "moved"]
    assert len(own) == 5
    log = two / "audit/audit.log"
    copied = [(each.fields["key"], each.fields["source"], each.fields["token"]) for each in read_events(log, COPIED)]
    assert copied == [("key/hmac-sha384", "sottovoce-a", "sottovoce-b")]
    assert [each.fields["token"] for each in read_events(log, GENERATED) if each.fields["key"] == f"key/{P256}"] == [
        "sottovoce-b"
    ]
    assert cli("hsm", "key", "list", two).code == 0


def test_what_cannot_move_is_said(cli: Cli, two: Path) -> None:
    trio.run(lambda: made_keys(two, HMAC, shared=[HMAC], on=["a"]))
    ran = cli("hsm", "sync", two, "a", "b", "--json")
    key = ran.json["keys"][0]
    assert (ran.code, ran.json["ok"], key["outcome"], key["reason"]) == (
        *(3, False, "stays"),
        "it is not to leave its token: import it anew",
    )


def test_refusals_are_one_line(cli: Cli, two: Path) -> None:
    make_keys(two, P256, on=["a"])
    for words, said in (("a a", "give two tokens"), ("a c", "give one of a, b")):
        ran = cli("hsm", "sync", two, *words.split())
        assert (ran.code, said in ran.said) == (1, True)
    (two / "secrets/b.pin").write_text("0" * 20)
    ran = cli("hsm", "sync", two, "a", "b")
    assert (ran.code, ran.said.startswith("token b does not open: the PIN in ")) == (1, True)
