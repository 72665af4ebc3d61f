"""OpenSSL's client changes its keys, and asks for ours to be changed: records of our own follow."""

import subprocess
from pathlib import Path

import pytest
import trio

from sottovoce.transport import PqPolicy, RecordLayer
from tests.interop.transport.listening import Met, listening
from tests.transport.certificates import HOST, authority

SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


async def talk(process: trio.Process, steps: list[tuple[bytes, bytes]]) -> str:
    """Say each word to a tool when it has told what comes before it; give all that it told."""
    assert process.stdin is not None
    assert process.stdout is not None
    told = b""
    for word, awaited in steps:
        while awaited not in told:
            more = await process.stdout.receive_some()
            assert more, told
            told += more
        told = told[told.index(awaited) + len(awaited) :]
        await process.stdin.send_all(word)
    async for more in process.stdout:
        told += more
    await process.stdin.aclose()
    return told.decode("ascii", "replace")


@pytest.mark.interop(tool="openssl")
@pytest.mark.parametrize("records", RecordLayer)
@pytest.mark.parametrize("suite", SUITES)
async def test_openssl_changes_its_keys(tmp_path: Path, suite: str, records: RecordLayer) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority().pem)
    options = ["-CAfile", str(ca_file), "-servername", HOST, "-ciphersuites", suite, "-msg"]
    async with listening(PqPolicy.PREFER, records) as server:
        process = await trio.lowlevel.open_process(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = b"KEYUPDATE"
        steps = [(b"k\n", b"Verify return code"), (b"K\n", said), (b"k\n", said), (b"hello\n", said)]
        told = await talk(process, steps)
        await process.wait()
        [met] = server.met
    assert isinstance(met, Met)
    assert met.cipher == suite
    assert "served" in told
    received = told[told.index("<<<") :]
    assert "KeyUpdate" in received  # OpenSSL asked for it once
    assert received.index("KeyUpdate") < received.index("served")
