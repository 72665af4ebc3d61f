"""`sottovoce hsm seal` and `unseal`: what a running proxy is told, and that no share stands anywhere."""

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.running import copy_directory, make_directory, running_proxy
from tests.shows.test_sealed import SealedDirectory

pytestmark = pytest.mark.interop(tool="softhsm2-util")


@pytest.fixture
def sealed(tmp_path: Path) -> SealedDirectory:
    return SealedDirectory(copy_directory(make_directory(tmp_path, "--tokens", "2", name="fresh"), tmp_path, "two"))


def test_shares_unseal_it_and_an_order_seals_it(
    cli: Cli, sealed: SealedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sealed.directory

    def given(share: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{share}\n"))
        ran = cli("hsm", "unseal", directory, *words)
        return ran.code, ran.out, ran.err

    with running_proxy(directory) as proxy:
        assert cli("hsm", "status", proxy.admin).code == 3
        code, out, _ = given(sealed.shares[0])
        assert (code, out) == (3, "1 of the 2 shares that it takes are there: 1 more\n")
        code, out, said = given(sealed.shares[0])
        assert (code, out, said.startswith("sottovoce: share 1 was given already")) == (1, "", True)
        assert given("abandon ability")[0] == 1
        assert given(sealed.shares[2]) == (0, "unsealed: tokens are being started\n", "")
        done = cli("hsm", "seal", directory, "--reason", "somebody left", "--json")
        assert (done.code, done.json["seal"]["state"], done.json["up"]) == (0, "sealed", [])
        again = cli("hsm", "seal", directory, "--reason", "again")
        assert again.out == "sealed (somebody left): 2 of 3 shares unseal it\n", "it was, and why stays"
    told = proxy.log.read_text() + (directory / "audit/audit.log").read_text()
    assert "somebody left" in told
    assert not any(share in told for share in sealed.shares)


def test_a_reason_is_wanted(cli: Cli, directory: Path) -> None:
    assert cli("hsm", "seal", directory).code == 2


def test_nobody_is_asked_for_a_share_where_no_proxy_runs(cli: Cli, directory: Path) -> None:
    ran = cli("hsm", "unseal", directory)
    assert (ran.code, ran.said.startswith("no proxy takes orders at ")) == (1, True)
