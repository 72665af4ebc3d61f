"""What the usual scanners say of a running proxy with `pq = "prefer"`, where they can see what it does.

"Clean" means: TLS 1.3 alone, the three suites and three classical groups that we chose, no weakness found, and of what
else a scanner would have otherwise, only what is ours on purpose: see `EXPECTED`.  None of them knows the hybrid.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import find_tool
from tests.running import RunningProxy

SUITES = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"}
OLD = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2")
EXPECTED = {
    "cert_expirationStatus": "the leaf is replaced each day: a key in memory is to be of no use for long",
    "cert_notAfter": "likewise",
    "cert_revocation": "a leaf of at most a day is not revoked but replaced (RFC 9608's reasoning)",
    "DNS_CAArecord": "localhost has no such record",
    "engine_problem": "the scanner's own OpenSSL has no GOST",
}
"""testssl's complaints that are no fault, with the reason."""


def run(name: str, *options: str) -> tuple[int, str]:
    program = find_tool(name)
    assert program is not None
    done = subprocess.run(
        [program, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300
    )
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.mark.interop(tool=("softhsm2-util", "sslscan"))
def test_sslscan(proxy: RunningProxy) -> None:
    status, said = run("sslscan", "--no-colour", proxy.addresses[0])
    assert status == 0, said
    enabled = re.findall(r"^((?:SSL|TLS)v[\d.]+)\s+enabled$", said, re.MULTILINE)
    assert enabled == ["TLSv1.3"]
    assert set(re.findall(r"^(?:Preferred|Accepted)\s+TLSv1\.3\s+\d+ bits\s+(\S+)", said, re.MULTILINE)) == SUITES
    groups = said.partition("Key Exchange Group")[2]
    assert set(re.findall(r"^TLSv1\.3\s+\d+ bits\s+(\S+)", groups, re.MULTILINE)) == {
        "x25519",
        "secp256r1",
        "secp384r1",
    }
    assert "vulnerable to heartbleed" not in said.replace("not vulnerable to heartbleed", "")


@pytest.mark.interop(tool=("softhsm2-util", "sslyze"))
def test_sslyze(proxy: RunningProxy, tmp_path: Path) -> None:
    """It exits 0 only for what fits Mozilla's configuration "modern"; what it found is looked at as well."""
    report = tmp_path / "sslyze.json"
    trust = f"--certinfo_ca_file={proxy.directory / 'certs/ca.pem'}"
    status, said = run("sslyze", trust, f"--json_out={report}", "--mozilla_config=modern", f"localhost:{proxy.port}")
    assert status == 0, said
    [scan] = json.loads(report.read_text(encoding="utf-8"))["server_scan_results"]
    assert scan["scan_status"] == "COMPLETED"
    found = {name: entry["result"] for name, entry in scan["scan_result"].items() if entry["status"] == "COMPLETED"}
    for version in OLD:
        assert found[f"{version}_cipher_suites"]["is_tls_version_supported"] is False
    accepted = found["tls_1_3_cipher_suites"]["accepted_cipher_suites"]
    assert {suite["cipher_suite"]["name"] for suite in accepted} == SUITES
    groups = {group["name"] for group in found["elliptic_curves"]["supported_curves"]}
    assert groups == {"X25519", "secp256r1", "secp384r1"}
    assert found["heartbleed"] == {"is_vulnerable_to_heartbleed": False}
    assert found["openssl_ccs_injection"] == {"is_vulnerable_to_ccs_injection": False}
    assert found["robot"]["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
    assert found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert found["tls_compression"] == {"supports_compression": False}
    assert _trusted(found["certificate_info"])


def _trusted(certificates: dict[str, Any]) -> bool:
    """Whether the chain holds with the CA that clients are given."""
    [deployment] = certificates["certificate_deployments"]
    stores = {
        result["trust_store"]["name"]: result["was_validation_successful"]
        for result in deployment["path_validation_results"]
    }
    return stores["Supplied CA file"] and deployment["received_chain_has_valid_order"]


@pytest.mark.soak
@pytest.mark.interop(tool=("softhsm2-util", "testssl"))
def test_testssl(proxy: RunningProxy, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Protocols, suites, groups, the certificate, and every weakness that it knows: takes most of a minute."""
    report = tmp_path / "testssl.json"
    quiet = ["--quiet", "--color", "0", "--ip", "one", "--warnings", "off", "--jsonfile", str(report)]
    trust = ["--add-ca", str(proxy.directory / "certs/ca.pem")]
    _, said = run("testssl", *quiet, *trust, "-p", "-s", "-f", "-S", "-P", "-U", f"localhost:{proxy.port}")
    findings = json.loads(report.read_text(encoding="utf-8"))
    assert len(findings) > 60, said
    texts = {finding["id"]: finding["finding"] for finding in findings}
    assert texts["cert_chain_of_trust"] == "passed."
    assert set(texts["PFS_ECDHE_curves"].split()) == {"X25519", "prime256v1", "secp384r1"}
    assert [name for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2") if texts[name] != "not offered"] == []
    complaints = {finding["id"] for finding in findings if finding["severity"] not in {"OK", "INFO"}}
    figure(f"{len(findings)} findings, {len(complaints - set(EXPECTED))} complaints besides {len(EXPECTED)} explained")
    assert complaints <= set(EXPECTED)
