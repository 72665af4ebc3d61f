"""What the usual tools say of our TLS server."""

import re
from pathlib import Path

import pytest

from sottovoce.transport import PqPolicy, TlsError, TlsReason
from tests.interop.transport.listening import Met, listening, run
from tests.transport.certificates import HOST, authority


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority().pem)
    return path


def s_client(port: int, *options: str) -> list[str]:
    return ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options]


@pytest.mark.interop(tool="openssl")
@pytest.mark.parametrize("policy", PqPolicy)
async def test_openssl_is_refused_with_tls_1_2(policy: PqPolicy) -> None:
    async with listening(policy) as server:
        status, said = await run(s_client(server.port, "-tls1_2"))
        assert status != 0
        assert "SSL alert number 70" in said
        [refused] = server.met
        assert isinstance(refused, TlsError)
        assert refused.reason is TlsReason.NO_COMMON_VERSION


@pytest.mark.interop(tool="openssl")
async def test_openssl_without_ml_kem_is_refused_under_require() -> None:
    async with listening(PqPolicy.REQUIRE) as server:
        status, said = await run(s_client(server.port, "-groups", "X25519:P-256:P-384"))
        assert status != 0
        assert "SSL alert number 40" in said
        [refused] = server.met
        assert isinstance(refused, TlsError)
        assert refused.reason is TlsReason.NO_COMMON_GROUP


@pytest.mark.interop(tool="openssl")
@pytest.mark.parametrize(("groups", "agreed"), [("X25519", "X25519"), ("P-384", "secp384r1"), ("P-256", "secp256r1")])
async def test_openssl_without_ml_kem_is_served_under_prefer(ca_file: Path, groups: str, agreed: str) -> None:
    async with listening(PqPolicy.PREFER) as server:
        options = ["-CAfile", str(ca_file), "-verify_return_error", "-verify_hostname", HOST, "-servername", HOST]
        status, said = await run(s_client(server.port, "-quiet", "-groups", groups, *options), b"hello\n")
        assert status == 0, said
        assert "served" in said
        [core] = server.met
        assert isinstance(core, Met)
        assert (core.version, core.group, core.server_name) == ("TLSv1.3", agreed, HOST)


@pytest.mark.protocol("P1.6")
@pytest.mark.interop(tool="openssl")
async def test_openssl_is_offered_no_early_data(ca_file: Path) -> None:
    """Early data needs a ticket that allows it: ours allow none, so there is no request to answer with 425."""
    async with listening(PqPolicy.PREFER) as server:
        status, said = await run(s_client(server.port, "-CAfile", str(ca_file), "-ign_eof"), b"hello\n")
        assert status == 0, said
        allowed = re.findall(r"Max Early Data: (\d+)", said)
        assert allowed
        assert set(allowed) == {"0"}


@pytest.mark.interop(tool="sslscan")
async def test_sslscan_finds_tls_1_3_only() -> None:
    async with listening(PqPolicy.PREFER) as server:
        status, said = await run(["sslscan", "--no-colour", f"127.0.0.1:{server.port}"])
    assert status == 0, said
    protocols = dict(re.findall(r"^((?:SSL|TLS)v[\d.]+)\s+(enabled|disabled)$", said, re.MULTILINE))
    assert len(protocols) == 6, said
    assert [name for name, state in protocols.items() if state == "enabled"] == ["TLSv1.3"]
    accepted = re.findall(r"^(?:Preferred|Accepted)\s+(\S+)\s+\d+ bits\s+(\S+)", said, re.MULTILINE)
    assert set(accepted) == {
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    }
    groups = re.findall(r"^TLSv1\.3\s+\d+ bits\s+(\S+)", said.partition("Key Exchange Group")[2], re.MULTILINE)
    assert set(groups) == {"x25519", "secp256r1", "secp384r1"}


@pytest.mark.interop(tool="testssl")
async def test_testssl_finds_tls_1_3_only(ca_file: Path) -> None:
    async with listening(PqPolicy.PREFER) as server:
        options = ["--quiet", "--color", "0", "-p", "--ip", "one", "--add-ca", str(ca_file), "--warnings", "off"]
        _, said = await run(["testssl", *options, f"localhost:{server.port}"])
    for name in ("SSLv2", "SSLv3", "TLS 1", r"TLS 1\.1", r"TLS 1\.2"):
        assert re.search(rf"^ {name} +not offered", said, re.MULTILINE), said
    assert re.search(r"^ TLS 1\.3 +offered \(OK\): final", said, re.MULTILINE), said
