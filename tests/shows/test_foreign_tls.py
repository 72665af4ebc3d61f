"""What `openssl`, which has no post-quantum key agreement, meets at a running proxy.

The scanners' view of the same TLS is in tests/interop/transport/test_tls_tools.py.
"""

import re
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.running import RunningProxy, running_proxy

pytestmark = pytest.mark.interop(tool=("softhsm2-util", "openssl"))

PREFER, REQUIRE = 0, 1
"""The two listeners of the proxy."""
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def proxy(made_by_init: Path) -> Generator[RunningProxy]:
    second = ("listeners.strict.address=127.0.0.1:0", "listeners.strict.pq=require")
    with running_proxy(made_by_init, "listener.pq=prefer", *second) as proxy:
        assert len(proxy.addresses) == 2
        yield proxy


def s_client(proxy: RunningProxy, listener: int, *options: str, words: bytes = b"") -> tuple[int, str]:
    """Run `openssl s_client` to its end; give its status and all it said."""
    command = ["openssl", "s_client", "-connect", proxy.addresses[listener], *options]
    done = subprocess.run(
        command, input=words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60
    )
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.mark.parametrize("listener", [PREFER, REQUIRE])
def test_tls_1_2_is_refused(proxy: RunningProxy, listener: int) -> None:
    status, said = s_client(proxy, listener, "-tls1_2")
    assert status != 0
    assert "SSL alert number 70" in said
    assert "Cipher is (NONE)" in said


def test_a_classical_client_is_refused_with_alert_40_under_require(proxy: RunningProxy) -> None:
    status, said = s_client(proxy, REQUIRE, "-tls1_3", "-groups", "X25519:P-384:P-256")
    assert status != 0
    assert "SSL alert number 40" in said
    assert proxy.events("tls.refused")[-1]["reason"] == "no_common_group"


def test_a_classical_client_is_served_under_prefer(proxy: RunningProxy) -> None:
    ca = ["-CAfile", str(proxy.directory / "certs/ca.pem"), "-verify_return_error", "-verify_hostname", "localhost"]
    status, said = s_client(proxy, PREFER, "-quiet", "-groups", "X25519", *ca, words=REQUEST)
    assert status == 0, said
    assert "the request does not ask for a WebSocket" in said
    _, said = s_client(proxy, PREFER, "-groups", "X25519", *ca)
    assert "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in said
    assert "Server Temp Key: X25519" in said
    assert "Verify return code: 0 (ok)" in said


def test_openssl_accepts_the_chain_that_is_served(proxy: RunningProxy, tmp_path: Path) -> None:
    _, said = s_client(proxy, PREFER, "-showcerts", "-servername", "localhost")
    served = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", said, re.DOTALL)
    assert len(served) == 2, "the leaf and the issuing CA; the root is the client's to have"
    leaf, issuing = tmp_path / "leaf.pem", tmp_path / "issuing.pem"
    leaf.write_text(served[0])
    issuing.write_text(served[1])
    assert served[1] == (proxy.directory / "certs/issuing.pem").read_text()
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost"]
    root = ["-CAfile", proxy.directory / "certs/ca.pem"]
    done = subprocess.run([*verify, *root, "-untrusted", issuing, leaf], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{leaf}: OK\n"), done.stderr
    alone = subprocess.run([*verify, *root, leaf], capture_output=True, text=True, check=False)
    assert alone.returncode != 0, "the control: without the issuing CA there is no chain"
