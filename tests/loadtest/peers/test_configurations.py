"""The peers' own programs judge what we write for them, and carry a WebSocket with it."""

import os
import ssl
import subprocess
from pathlib import Path

import pytest
import websockets.sync.client
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store

from loadtest.peers.servers import Cores, Program, find_program, run_echo, run_peer
from loadtest.peers.servers.certificates import make_certificate
from loadtest.peers.servers.configurations import Ports, haproxy_configuration, nginx_configuration

ANYWHERE = Cores(None, None, is_prompt=False)


def program(name: str) -> Program:
    found = find_program(name)
    assert found is not None
    return found


def accepted(command: list[str]) -> str:
    """Run a program that judges a configuration; give what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.interop(tool="haproxy")
def test_haproxy_accepts_its_configuration_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.conf"
    file.write_text(haproxy_configuration(Ports(45_001, 45_002), 200, make_certificate(tmp_path)))
    said = accepted([program("haproxy").path, "-c", "-V", "-f", str(file)])
    assert "Configuration file is valid" in said
    assert "WARNING" not in said


@pytest.mark.interop(tool="nginx")
def test_nginx_accepts_its_configuration_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(nginx_configuration(Ports(45_001, 45_002), 200, make_certificate(tmp_path), tmp_path))
    said = accepted([program("nginx").path, "-t", "-p", str(tmp_path), "-e", "stderr", "-c", str(file)])
    assert "test is successful" in said
    assert "[warn]" not in said


@pytest.mark.interop(tool=("haproxy", "nginx"))
@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_a_peer_carries_messages_as_they_are(tmp_path: Path, name: str) -> None:
    with run_echo(ANYWHERE, tmp_path) as (port, _), run_peer(program(name), ANYWHERE, tmp_path, port, 10) as running:
        assert running.target.ca is not None
        context = ssl.create_default_context(cadata=running.target.ca.decode())
        with websockets.sync.client.connect(
            running.target.url, ssl=context, compression=None, proxy=None, open_timeout=60
        ) as connection:
            for size in (1, 125, 126, 696, 16_000):
                message = os.urandom(size)
                connection.send(message)
                assert connection.recv(timeout=10) == message
            tls = connection.socket
            assert isinstance(tls, ssl.SSLSocket)
            assert tls.version() == "TLSv1.3"
            assert tls.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
        (pid,) = running.watched.proxy
        assert name in Path(f"/proc/{pid}/comm").read_text()
    assert not Path(f"/proc/{pid}").exists()


def test_the_leaf_is_a_p256_one_that_the_authority_vouches_for(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    leaf = x509.load_pem_x509_certificate(made.chain.read_bytes())
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    store = Store(x509.load_pem_x509_certificates(made.ca_pem))
    assert PolicyBuilder().store(store).build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])
    assert {path.stat().st_mode & 0o777 for path in (made.key, made.both)} == {0o600}
