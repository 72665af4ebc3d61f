"""`sottovoce hsm seal` and `unseal`: what a running proxy is told, and that no share stands anywhere."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.running import SOTTOVOCE, copy_directory, environment, make_directory, running_proxy
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


def seal_made(directory: Path, back: list[int]) -> tuple[int, list[str], str]:
    """Make a seal of 2 of 3 and type shares of these numbers back; gives exit code, shares, and what was said."""
    with subprocess.Popen(
        [*SOTTOVOCE, "hsm", "seal", str(directory), "--split", "2/3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        shares: list[str] = []
        while len(shares) < 3:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            if len(line.split()) > 20:
                shares.append(line.strip())
        _, said = process.communicate("".join(f"{shares[number]}\n" for number in back))
        return process.returncode, shares, said


def test_a_seal_is_made_and_the_proxy_opens_with_its_shares(cli: Cli, directory: Path) -> None:
    assert cli("hsm", "seal", directory, "--split", "1/3").code == 1
    assert cli("hsm", "seal", directory, "--split", "x").code == 2
    code, _, said = seal_made(directory, [0])
    assert (code, "standard input has ended" in said) == (2, True)
    assert (directory / "secrets/pin").exists(), "too few came back, and nothing has happened"
    assert not (directory / "secrets/seal.json").exists()
    code, shares, said = seal_made(directory, [0, 0, 2])
    assert (code, "share 1 was given already" in said) == (0, True)
    assert not (directory / "secrets/pin").exists()
    assert cli("check", directory).code == 0
    assert "names a seal already" in cli("hsm", "seal", directory, "--split", "2/3").said
    assert "only a proxy that runs" in cli("hsm", "key", "list", directory).said
    with running_proxy(directory):
        for share, expected in ((shares[1], 3), (shares[0], 0)):
            done = subprocess.run(
                [*SOTTOVOCE, "hsm", "unseal", str(directory)],
                input=share,
                text=True,
                capture_output=True,
                check=False,
                env=environment(),
            )
            assert done.returncode == expected, done.stderr
