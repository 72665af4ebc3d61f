"""`sottovoce hsm key`: which keys there are, where each is, and its end."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sottovoce.audit import read_events
from sottovoce.hsm import KeyKind
from tests.app.hsm.making import make_keys
from tests.cli.conftest import Cli
from tests.running import copy_directory, make_directory, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
OWN = ["sottovoce-anchor", "sottovoce-serving", "sottovoce-root-ca", "sottovoce-issuing-ca", "sottovoce-kek"]
P256, P384 = KeyKind.ECDSA_P256, KeyKind.ECDSA_P384
NAME = f"key/{P256}"


@pytest.fixture(scope="session")
def made_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tokens; one key on both."""
    directory = make_directory(tmp_path_factory.mktemp("two"), "--tokens", "2")
    make_keys(directory, P256)
    return directory


@pytest.fixture
def two(made_two: Path, tmp_path: Path) -> Path:
    return copy_directory(made_two, tmp_path, "two")


def rows(out: str) -> list[list[str]]:
    return [line.split("  ") for line in out.splitlines()[1:]]


def test_the_tokens_own_and_the_others_are_listed(cli: Cli, two: Path) -> None:
    ran = cli("hsm", "key", "list", two)
    assert (ran.code, ran.err) == (0, "")
    assert [row[0] for row in rows(ran.out)] == [*OWN, NAME]
    assert all("a, b" in line for line in ran.out.splitlines()[1:])
    found = cli("hsm", "key", "list", two, "--json").json
    *own, key = found["keys"]
    assert {each["state"] for each in own} == {"own"}
    assert (key["state"], key["use"], key["is_shared"], key["is_extractable"]) == (
        *("in use", "sign and verify", False),
        False,
    )
    publics = {each["public"] for each in key["tokens"]}
    assert len(publics) == 2
    for public in publics:
        load_pem_public_key(public.encode())


def test_where_inventory_and_tokens_differ_is_told(cli: Cli, two: Path) -> None:
    inventory = two / "keys/inventory.json"
    kept = inventory.read_bytes()
    inventory.unlink()
    unlisted = cli("hsm", "key", "list", two)
    assert (unlisted.code, "unlisted" in unlisted.out) == (3, True)
    told = json.loads(kept)
    told["keys"][0]["nodes"]["a"] = told["keys"][0]["nodes"]["b"]
    told["keys"].append({**told["keys"][0], "label": "key/gone"})
    inventory.write_text(json.dumps(told))
    ran = cli("hsm", "key", "list", two)
    assert (ran.code, "a FAILED, b" in ran.out, "a MISSING, b MISSING" in ran.out) == (3, True, True)
    shown = cli("hsm", "key", "show", two, P256)
    assert (shown.code, "token a: failed: it is another key than the one that was made there" in shown.out) == (3, True)


def test_a_token_that_does_not_open_is_named_and_the_others_are_shown(cli: Cli, two: Path) -> None:
    shutil.move(two / "hsm/b/tokens", two / "hsm/b/away")
    ran = cli("hsm", "key", "list", two)
    assert ran.code == 3
    assert "a, b closed" in ran.out
    assert ran.said.startswith(f"token b could not be asked: {two}/hsm/b/tokens is missing")


def test_a_key_is_shown_after_it_has_proved_itself(cli: Cli, two: Path) -> None:
    ran = cli("hsm", "key", "show", two, P256)
    first, second, *rest = ran.out.splitlines()
    assert (ran.code, first) == (0, f"{NAME}: {P256}, sign and verify; in use")
    assert second == "each token has its own; does not leave its token"
    assert [line for line in rest if line.startswith("token")] == ["token a: there", "token b: there"]
    assert cli("hsm", "key", "show", two, NAME, "--json").json["label"] == NAME
    own = cli("hsm", "key", "show", two, "sottovoce-kek")
    assert (own.code, own.out.splitlines()[0].endswith("; own")) == (0, True)
    none = cli("hsm", "key", "show", two, "none")
    assert (none.code, none.said) == (1, "there is no key none: sottovoce hsm key list tells which there are")


def test_a_key_is_destroyed_everywhere_and_the_audit_log_tells(cli: Cli, two: Path) -> None:
    asked = cli("hsm", "key", "destroy", two, P256)
    assert (asked.code, "say --yes, or type its name again" in asked.err) == (2, True)
    ran = cli("hsm", "key", "destroy", two, P256, "--yes")
    assert (ran.code, ran.out, ran.err) == (0, f"{NAME} is destroyed on a, b\n", "")
    assert [row[0] for row in rows(cli("hsm", "key", "list", two).out)] == OWN
    told = [(each.fields["key"], each.fields["node"]) for each in read_events(two / "audit/audit.log", "key_destroyed")]
    assert told == [(NAME, "a"), (NAME, "b")]
    again = cli("hsm", "key", "destroy", two, P256, "--yes", "--json")
    assert (again.code, again.json["error"].startswith(f"there is no key {P256}")) == (1, True)


def test_a_token_that_does_not_open_gets_it_later(cli: Cli, two: Path) -> None:
    shutil.move(two / "hsm/b/tokens", two / "hsm/b/away")
    ran = cli("hsm", "key", "destroy", two, P256, "--yes")
    assert (ran.code, ran.out) == (3, f"{NAME} is destroyed on a\n")
    assert ran.said.startswith("token b may still have it (")
    shutil.move(two / "hsm/b/away", two / "hsm/b/tokens")
    listed = cli("hsm", "key", "list", two)
    assert (listed.code, "half destroyed" in listed.out) == (3, True)
    assert cli("hsm", "key", "destroy", two, P256, "--yes").code == 0


def test_what_no_inventory_tells_of_can_be_destroyed(cli: Cli, two: Path) -> None:
    (two / "keys/inventory.json").unlink()
    assert cli("hsm", "key", "destroy", two, NAME, "--yes").code == 0
    assert [row[0] for row in rows(cli("hsm", "key", "list", two).out)] == OWN


@pytest.mark.parametrize("name", [*OWN, "sottovoce-anchor-2"])
def test_the_tokens_own_keys_are_refused(cli: Cli, directory: Path, name: str) -> None:
    ran = cli("hsm", "key", "destroy", directory, name, "--yes")
    assert (ran.code, ran.said.startswith(f"{name} is one of the token's own keys")) == (1, True)


def test_beside_a_proxy_that_runs_they_are_shown_and_not_destroyed(cli: Cli, two: Path) -> None:
    with running_proxy(two) as proxy:
        assert cli("hsm", "key", "list", two).code == 0
        ran = cli("hsm", "key", "destroy", two, P256, "--yes")
        assert (ran.code, ran.said.startswith(f"the proxy that runs (pid {proxy.pid}) may use the key")) == (1, True)
