import errno
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.app.doctor import State, network
from sottovoce.app.doctor.network import backend_findings, port_findings, running_findings, tls_findings
from sottovoce.app.doctor.sockets import Holder
from sottovoce.backend.trio import Call, serve
from sottovoce.relay import RouteConfig, build_route
from sottovoce.settings import Configuration, build
from sottovoce.transport import PqPolicy, SelfTestFailed
from tests.admin.listening import HEALTHY
from tests.cli.watching.telling import running_over, telling

WALL = 1_800_000_000.0


def wanting(address: str) -> Configuration:
    return build({"listener": {"address": address}, "admin": {"address": "127.0.0.1:0"}})


def test_tls_is_told_by_a_real_handshake() -> None:
    (finding,) = tls_findings([PqPolicy.REQUIRE, PqPolicy.OFF], "4.0.3", WALL)
    assert finding.state is State.OK
    assert "X25519MLKEM768 (pq = require)" in finding.what
    assert "X25519 (pq = off)" in finding.what


def test_tls_that_does_not_keep_its_promise_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> str:
        raise SelfTestFailed("TLS self-test: X25519 and not X25519MLKEM768: install the versions")

    monkeypatch.setattr(network, "self_test", refuse)
    (finding,) = tls_findings([PqPolicy.REQUIRE], "3.0", WALL)
    assert finding.state is State.FAIL
    assert finding.what == "TLS self-test: X25519 and not X25519MLKEM768"
    assert "requirements.lock" in finding.remedy


@pytest.mark.parametrize(
    ("holder", "running", "state", "what"),
    [
        (Holder(7, "nginx"), None, State.FAIL, "in use by pid 7 (nginx)"),
        (Holder(0, ""), None, State.FAIL, "in use by a process of another user"),
        (Holder(7, "sottovoce"), Holder(7, "sottovoce"), State.OK, "held by the proxy that runs (pid 7)"),
        (Holder(8, "sottovoce"), None, State.FAIL, "in use by pid 8 (sottovoce)"),
        (Holder(8, "nginx"), Holder(7, "sottovoce"), State.FAIL, "in use by pid 8 (nginx)"),
    ],
)
def test_a_port_is_ours_or_somebody_elses(
    monkeypatch: pytest.MonkeyPatch, holder: Holder, running: Holder | None, state: State, what: str
) -> None:
    monkeypatch.setattr(network, "holder_of", lambda *_: holder)
    listener, admin = port_findings(wanting("127.0.0.1:8443"), running)
    assert listener.state is state
    assert what in listener.what
    if state is State.FAIL:
        assert listener.remedy.startswith("take another port: sottovoce serve DIR --set listener.address=")
        assert ("; or end that (" in listener.remedy) is (holder.program != "sottovoce")
    assert admin.state is State.OK


@pytest.mark.parametrize(
    ("number", "address", "remedy"),
    [
        (errno.EACCES, "127.0.0.1:443", "AmbientCapabilities=CAP_NET_BIND_SERVICE"),
        (errno.EADDRNOTAVAIL, "192.0.2.1:8443", "no interface of this machine has that address"),
        (errno.ENOMEM, "127.0.0.1:8443", "--set listener.address=127.0.0.1:PORT"),
    ],
)
def test_an_address_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, number: int, address: str, remedy: str) -> None:
    def refused(*_: Any) -> OSError:
        return OSError(number, "no")

    monkeypatch.setattr(network, "holder_of", lambda *_: None)
    monkeypatch.setattr(network, "bind_error", refused)
    finding = port_findings(wanting(address), None)[0]
    assert finding.state is State.FAIL
    assert "cannot be had (no)" in finding.what
    assert remedy in finding.remedy


def test_a_proxy_that_runs_and_takes_no_orders_here_is_starting_or_serves_with_another_ready_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "run").mkdir()
    (finding,) = running_findings(wanting("127.0.0.1:0").resolved(tmp_path), Holder(7, "sottovoce"))
    assert finding.state is State.WARN
    assert finding.what == (
        "one runs (pid 7), and it is still starting, or serves with another process.ready_file (--set)"
    )
    assert "sottovoce status URL" in finding.remedy


def test_while_a_newer_program_takes_over_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/ready").touch()
    (finding,) = running_findings(wanting("127.0.0.1:0").resolved(tmp_path), Holder(7, "sottovoce"))
    assert "could not be asked: the proxy is being replaced by a newer program" in finding.what


def test_whoever_answers_in_the_place_of_a_proxy_that_could_not_be_asked_may_be_another(tmp_path: Path) -> None:
    with telling(HEALTHY) as url, running_over(tmp_path, b"garbage\n"):
        configuration = build({"admin": {"address": url.removeprefix("http://")}}).resolved(tmp_path)
        (finding,) = running_findings(configuration, Holder(7, "sottovoce"))
    assert finding.state is State.WARN
    assert finding.what.startswith("one runs (pid 7), and could not be asked itself (")
    assert "may be another's" in finding.what


async def test_backends_are_reached_whatever_their_adapter_speaks() -> None:
    async def nobody(call: Call) -> None:
        """Hold no call."""

    async with trio.open_nursery() as nursery:
        mux: str = await nursery.start(partial(serve, nobody, "127.0.0.1", adapter="mux"))
        raw: str = await nursery.start(serve, nobody, "127.0.0.1")
        routes = {
            name: build_route(name, RouteConfig(adapter=adapter, url=url, connect_attempts=1))
            for name, adapter, url in (("a", "mux", mux), ("b", "raw", raw), ("c", "mux", "unix:/none"))
        }
        found = {finding.name: finding for finding in await backend_findings(routes)}
        nursery.cancel_scope.cancel()
    assert [found[f"backend {name}"].state for name in "abc"] == [State.OK, State.OK, State.WARN]
    assert "unreachable: unix:/none: No such file" in found["backend c"].what
