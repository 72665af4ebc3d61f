"""Five foreign TLS stacks at a running proxy: all are served where the hybrid is preferred, four where it is required.

Each asks for `/` and is told in HTTP that this is no WebSocket: so the handshake is done, and data flows both ways.
That the hybrid was agreed on is known where it is required, since nothing else is accepted there.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.transport.test_go import peer
from tests.running import RunningProxy, environment

__all__ = ["peer"]

PREFER, REQUIRE = 0, 1
"""The listeners of the proxy."""
STACKS = Path(__file__).with_name("stacks")
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = "the request does not ask for a WebSocket"
both = pytest.mark.parametrize("listener", [PREFER, REQUIRE])


def told_by(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=environment())
    assert done.stdout, done.stderr.decode()
    return json.loads(done.stdout)


def run_stack(name: str, proxy: RunningProxy, listener: int, *words: str) -> dict[str, Any]:
    """Run one of the clients that are Python libraries; in a process of its own, as one patches what others import."""
    port = proxy.addresses[listener].rpartition(":")[2]
    ca_file = str(proxy.directory / "certs/ca.pem")
    return told_by([sys.executable, str(STACKS / f"{name}.py"), port, ca_file, *words])


def s_client(proxy: RunningProxy, listener: int) -> tuple[int, str]:
    command = ["openssl", "s_client", "-connect", proxy.addresses[listener], "-quiet"]
    trust = ["-CAfile", str(proxy.directory / "certs/ca.pem"), "-verify_return_error", "-verify_hostname", "localhost"]
    done = subprocess.run(
        [*command, *trust], input=REQUEST, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60
    )
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.mark.interop(tool=("softhsm2-util", "openssl"))
def test_openssl_is_served_where_the_hybrid_is_preferred(proxy: RunningProxy) -> None:
    status, said = s_client(proxy, PREFER)
    assert status == 0, said
    assert ANSWER in said


@pytest.mark.interop(tool=("softhsm2-util", "openssl"))
def test_openssl_3_0_is_told_by_an_alert_where_the_hybrid_is_required(proxy: RunningProxy) -> None:
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
    status, said = s_client(proxy, REQUIRE)
    if version.startswith(("OpenSSL 1.", "OpenSSL 3.0", "OpenSSL 3.1", "OpenSSL 3.2", "OpenSSL 3.3", "OpenSSL 3.4")):
        assert status != 0
        assert "SSL alert number 40" in said
    else:  # it knows the hybrid
        assert ANSWER in said


@pytest.mark.interop(tool=("softhsm2-util", "go"))
@both
def test_go(proxy: RunningProxy, peer: str, listener: int) -> None:
    told = told_by([peer, "client", proxy.addresses[listener], str(proxy.directory / "certs/ca.pem")])
    assert (told["error"], told["version"], told["group"]) == ("", "TLS 1.3", "X25519MLKEM768")
    assert told["heard"].startswith("HTTP/1.1 400 ")


@pytest.mark.interop(tool=("softhsm2-util", "python:curl_cffi"))
@both
def test_boringssl_as_in_chrome(proxy: RunningProxy, listener: int) -> None:
    told = run_stack("boringssl", proxy, listener, "chrome")
    assert told == {"error": "", "heard": f"{ANSWER}\n"}


@pytest.mark.interop(tool=("softhsm2-util", "python:curl_cffi"))
def test_boringssl_as_it_comes_offers_no_hybrid(proxy: RunningProxy) -> None:
    """The control of the test above: the same library is refused where it is not told to be a browser."""
    assert run_stack("boringssl", proxy, PREFER)["heard"] == f"{ANSWER}\n"
    assert "HANDSHAKE_FAILURE" in run_stack("boringssl", proxy, REQUIRE)["error"]


@pytest.mark.interop(tool=("softhsm2-util", "python:rtls"))
@both
def test_rustls(proxy: RunningProxy, listener: int) -> None:
    told = run_stack("rustls", proxy, listener)
    assert told["error"] == ""
    assert ANSWER in told["heard"]


@pytest.mark.interop(tool=("softhsm2-util", "python:tlslite", "python:kyber_py"))
@both
def test_tlslite_ng(proxy: RunningProxy, listener: int) -> None:
    told = run_stack("tlslite_ng", proxy, listener)
    assert (told["error"], told["group"]) == ("", "x25519mlkem768")
    assert ANSWER in told["heard"]
