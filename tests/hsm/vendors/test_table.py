"""The vendors' rows: whole, each value with its proof, and true where they say that it was run."""

import os
import subprocess
from pathlib import Path

import pytest

from sottovoce.hsm import configuration_text, find_softhsm
from sottovoce.hsm.vendors import PROFILES, Fact, GcmNonce, Mark, PinForm, Vendor, vendor_of_library

PAPER = {"THALES", "SAFENET", "UTIMACO", "AWS_CLOUDHSM", "AZURE_DEDICATED_HSM", "YUBIHSM"}
"""HSMVendor of the design paper."""
SOFTOKN = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"
NAMES = {0x2109: {"AES-KEY-WRAP"}, 0x210A: {"AES-KEY-WRAP-PAD", "mechtype-0x210A"}, 0x1087: {"AES-GCM"}}
"""As pkcs11-tool prints them, each release a few more by name."""


def test_every_vendor_has_a_row() -> None:
    assert list(PROFILES) == list(Vendor)
    assert all(row.vendor is vendor for vendor, row in PROFILES.items())
    assert {vendor.name for vendor in Vendor} >= PAPER
    assert all(vendor.value == vendor.name.lower() for vendor in Vendor)


@pytest.mark.parametrize("vendor", Vendor)
def test_each_value_has_its_proof(vendor: Vendor) -> None:
    row = PROFILES[vendor]
    names = [name for name, _ in row.facts]
    assert names.count("quirk") == len(row.quirks)
    assert set(names) - {"quirk"} == {
        "libraries",
        "settings",
        "pin",
        "max_sessions",
        "idle_seconds",
        "key_wrap",
        "key_wrap_padded",
        "gcm_nonce",
    }
    assert all(isinstance(fact, Fact) and fact.source.strip() for _, fact in row.facts)


def test_only_what_runs_here_is_called_run() -> None:
    assert {vendor for vendor, row in PROFILES.items() if row.mark is Mark.RUN} == {Vendor.SOFTHSM, Vendor.NSS}
    for vendor in set(Vendor) - {Vendor.SOFTHSM, Vendor.NSS}:
        assert {fact.mark for _, fact in PROFILES[vendor].facts} == {Mark.READ}


def test_softhsm_alone_may_never_claim_a_level() -> None:
    assert [vendor for vendor, row in PROFILES.items() if row.uncertified] == [Vendor.SOFTHSM]


def test_the_two_that_are_one_appliance_have_one_row() -> None:
    thales, azure = PROFILES[Vendor.THALES], PROFILES[Vendor.AZURE_DEDICATED_HSM]
    assert dict(thales.facts[:8]) == dict(azure.facts[:8])
    assert "retired" in azure.quirks[-1].value


def test_clouds_want_a_user_in_the_pin() -> None:
    wanting = {vendor for vendor, row in PROFILES.items() if row.pin.value.form is PinForm.USER_AND_PASSWORD}
    assert wanting == {Vendor.AWS_CLOUDHSM, Vendor.AZURE_CLOUD_HSM}


@pytest.mark.parametrize(
    ("path", "vendor"),
    [
        (find_softhsm(), Vendor.SOFTHSM),
        ("/opt/libsofthsm2.so", Vendor.SOFTHSM),
        (SOFTOKN, Vendor.NSS),
        ("/usr/lib/libCryptoki2_64.so", Vendor.THALES),
        ("libcryptoki.so", Vendor.SAFENET),
        ("/opt/utimaco/p11/libcs_pkcs11_R3.so", Vendor.UTIMACO),
        ("/opt/cloudhsm/lib/libcloudhsm_pkcs11.so", Vendor.AWS_CLOUDHSM),
        ("/opt/azurecloudhsm/lib64/libazcloudhsm_pkcs11.so", Vendor.AZURE_CLOUD_HSM),
        ("yubihsm_pkcs11.so", Vendor.YUBIHSM),
        ("/usr/lib/opensc-pkcs11.so", None),
        ("", None),
    ],
)
def test_a_library_tells_its_vendor(path: str, vendor: Vendor | None) -> None:
    assert vendor_of_library(path) is vendor


@pytest.mark.interop(tool="pkcs11-tool")
def test_softhsm_has_what_its_row_says(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(configuration_text(settings))
    row = PROFILES[Vendor.SOFTHSM]
    told = mechanisms(find_softhsm(), {row.settings.value: str(settings)})
    assert NAMES[row.key_wrap.value or 0] & told
    assert NAMES[row.key_wrap_padded.value or 0] & told
    assert row.gcm_nonce.value is GcmNonce.OURS
    assert NAMES[0x1087] & told
    assert not {"AES-KEY-WRAP-KWP", "mechtype-0x210B"} & told


def mechanisms(module: str, environment: dict[str, str]) -> set[str]:
    """Ask pkcs11-tool, a client of others, what a module lists."""
    command = ["pkcs11-tool", "--module", module, "--list-mechanisms"]
    ran = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    return {line.split(",")[0].strip() for line in ran.stdout.splitlines()}
