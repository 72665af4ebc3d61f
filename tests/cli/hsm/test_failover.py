"""`sottovoce hsm failover`: a token is taken out of use, and back, while the proxy serves."""

import socket
import stat
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.running import RunningProxy, copy_directory, make_directory, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
GIVE_UP_SECONDS = 30


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return copy_directory(make_directory(tmp_path, "--tokens", "2", name="fresh"), tmp_path, "two")


def states(cli: Cli, proxy: RunningProxy) -> dict[str, str]:
    found = cli("hsm", "status", proxy.admin, "--json").json
    return {each["name"]: each["state"] for each in found["tokens"]}


def until(cli: Cli, proxy: RunningProxy, wanted: dict[str, str]) -> None:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while (found := states(cli, proxy)) != wanted:
        assert time.monotonic() < give_up_at, found
        time.sleep(0.05)


def test_a_token_goes_out_of_use_and_comes_back(cli: Cli, two: Path) -> None:
    with running_proxy(two) as proxy:
        until(cli, proxy, {"a": "up", "b": "up"})
        assert stat.S_IMODE((two / "run/ready.control").stat().st_mode) == 0o600
        out = cli("hsm", "failover", two, "a", "--reason", "new fan")
        assert (out.code, out.out, out.err) == (0, "token a is out of use; up: b\n", "")
        assert states(cli, proxy) == {"a": "down", "b": "up"}
        told = cli("hsm", "status", proxy.admin).out
        assert "an operator has taken it out of use (new fan)" in told
        assert told.rstrip().endswith("sottovoce hsm failover --back takes it into use again")
        assert cli("call", f"{proxy.url}/echo", "--tone", "--dir", two).code == 0
        last = cli("hsm", "failover", two, "b")
        assert (last.code, last.said) == (1, "no other token than b is up: calls would end with it")
        back = cli("hsm", "failover", two, "a", "--back", "--json").json
        assert (back["schema"], back["ok"], back["token"]) == ("sottovoce.hsm.failover.1", True, "a")
        until(cli, proxy, {"a": "up", "b": "up"})
    assert not (two / "run/ready.control").exists()


def test_what_cannot_be_done_is_one_line(cli: Cli, two: Path) -> None:
    nobody = cli("hsm", "failover", two, "a")
    assert (nobody.code, nobody.said.startswith(f"no proxy takes orders at {two}/run/ready.control (")) == (1, True)
    with running_proxy(two):
        assert cli("hsm", "failover", two, "x").said == "there is no token x: there are a, b"
        assert cli("hsm", "failover", two, "a", "--back").said == "token a is in use already"
        sealed = cli("hsm", "seal", two, "--reason", "test")
        assert (sealed.code, sealed.said.startswith("there is no seal: [hsm.seal] is not in")) == (1, True)


@pytest.mark.parametrize("sent", [b"", b"nonsense\n", b'{"do":"dance"}\n', b'{"do":"unseal"}\n', b"x" * 20_000])
def test_whatever_is_sent_the_proxy_answers_or_hangs_up_and_goes_on(cli: Cli, two: Path, sent: bytes) -> None:
    with running_proxy(two) as proxy:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(two / "run/ready.control"))
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert b'"error":"' in connection.recv(4096)
        assert cli("call", f"{proxy.url}/echo", "--tone", "--dir", two).code == 0
        assert proxy.events("task.crashed") == []
