"""The vendors' rows.  Data only; `profile` says what each column means, docs/hsm-vendors.md shows it as a page.

Sources are named shortly: a vendor's documentation as it was stored by its publisher, or a public repository.  Numbers
of mechanisms are PKCS#11's own (v3.1) unless they have the vendor's bit (0x80000000).
"""

from typing import Final, TypeVar

import msgspec

from sottovoce.hsm.vendors.pins import PinForm, PinRule
from sottovoce.hsm.vendors.profile import Fact, GcmNonce, Mark, Vendor, VendorProfile

Value = TypeVar("Value")

_AES_KEY_WRAP: Final = 0x2109
_AES_KEY_WRAP_PAD: Final = 0x210A
_AES_KEY_WRAP_KWP: Final = 0x210B
_OF_A_VENDOR: Final = 0x80000000
_NOT_TOLD: Final = "not told in what was read"


def _run(value: Value, source: str) -> Fact[Value]:
    return Fact(value, Mark.RUN, source)


def _read(value: Value, source: str) -> Fact[Value]:
    return Fact(value, Mark.READ, source)


_SOFTHSM_RUN: Final = "SoftHSM 2.6.1 of Debian 12"
_SOFTHSM: Final = VendorProfile(
    vendor=Vendor.SOFTHSM,
    product="SoftHSM 2, a token in files",
    libraries=_run(
        (
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/lib64/pkcs11/libsofthsm2.so",
        ),
        _SOFTHSM_RUN,
    ),
    settings=_run("SOFTHSM2_CONF", _SOFTHSM_RUN),
    pin=_run(PinRule(min_bytes=4, max_bytes=255), _SOFTHSM_RUN),
    max_sessions=_run(0, _SOFTHSM_RUN),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_run(_AES_KEY_WRAP, _SOFTHSM_RUN),
    key_wrap_padded=_run(_AES_KEY_WRAP_PAD, _SOFTHSM_RUN),
    gcm_nonce=_run(GcmNonce.OURS, _SOFTHSM_RUN),
    is_software=True,
    uncertified="software without a certificate",
    quirks=(
        _run("its 0x210A is RFC 5649; the standard's own number for that, 0x210B, it does not have", _SOFTHSM_RUN),
        _run("with 0x210A a key whose length is no multiple of 8 comes back with zeros at its end", _SOFTHSM_RUN),
        _run("a process that is killed while it logs in leaves an empty token file; a copy is kept", _SOFTHSM_RUN),
        _run("RSA-OAEP takes SHA-1 only", _SOFTHSM_RUN),
        _run("a look-up of a key is a scan of all", _SOFTHSM_RUN),
        _run("five wrong PINs do not lock it", _SOFTHSM_RUN),
    ),
)

_NSS_RUN: Final = "NSS softokn 3.87.1 of Debian 12"
_NSS: Final = VendorProfile(
    vendor=Vendor.NSS,
    product="NSS softokn, the token of Firefox, in a database",
    libraries=_run(("/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "/usr/lib64/libsoftokn3.so"), _NSS_RUN),
    settings=_run("the text configdir='sql:DIR' … that C_Initialize is given as pReserved", _NSS_RUN),
    pin=_run(PinRule(min_bytes=0, max_bytes=500), _NSS_RUN),
    max_sessions=_run(0, _NSS_RUN),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_run(_AES_KEY_WRAP, _NSS_RUN),
    key_wrap_padded=_run(_AES_KEY_WRAP_KWP, _NSS_RUN),
    gcm_nonce=_run(GcmNonce.OURS, _NSS_RUN),
    is_software=True,
    quirks=(
        _run("C_Initialize without that text answers CKR_ARGUMENTS_BAD", _NSS_RUN),
        _run("of the functions it exports C_GetFunctionList and C_GetInterface only", _NSS_RUN),
        _run("it wraps a key that is not extractable; the token process looks at that itself", _NSS_RUN),
        _run("of AES-GCM and padded key wrap it tells too small a size beforehand; nobody asks it here", _NSS_RUN),
        _run("its token is called NSS Certificate DB; a second one, without a login, holds no keys", _NSS_RUN),
        _run("no Ed25519", _NSS_RUN),
        _read("single builds of it have certificates; a distribution's own build may have none", "CMVP"),
    ),
)

_LUNA: Final = "thalesdocs.com, Luna Network HSM 7"
_LUNA_HEADER: Final = "Luna's own mechanism numbers, in public source of its users"
_THALES: Final = VendorProfile(
    vendor=Vendor.THALES,
    product="Thales Luna HSM 7",
    libraries=_read(
        ("/usr/safenet/lunaclient/lib/libCryptoki2_64.so", "/usr/lib/libCryptoki2_64.so"),
        "docs.keyfactor.com, EJBCA with Luna; Cosmian/kms",
    ),
    settings=_read("ChrystokiConfigurationPath, the folder of Chrystoki.conf", "public source of its users"),
    pin=_read(PinRule(), "docs.keyfactor.com: the password of the partition's crypto officer"),
    max_sessions=_read(None, _NOT_TOLD),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_read(_OF_A_VENDOR + 0x170, _LUNA_HEADER),
    key_wrap_padded=_read(_OF_A_VENDOR + 0x171, _LUNA_HEADER),
    gcm_nonce=_read(GcmNonce.TOKENS_IN_FIPS_MODE, f"{_LUNA}: CKM_AES_GCM"),
    quirks=(
        _read("in FIPS mode a nonce of 16 bytes stands at the end of what was encrypted", f"{_LUNA}: CKM_AES_GCM"),
        _read("CKM_AES_KW wraps symmetric keys only; private keys want CKM_AES_KWP", f"{_LUNA}: CKM_AES_KW"),
        _read("before firmware 7.9.3 an unwrap has to be told the key's length", f"{_LUNA}: CKM_AES_KW"),
        _read(
            "an HA group is one slot of several HSMs; its keys are cloned", "learn.microsoft.com, Azure Cloud HSM: FAQ"
        ),
    ),
)

_PTK: Final = "thalesdocs.com, ProtectToolkit-C"
_SAFENET: Final = VendorProfile(
    vendor=Vendor.SAFENET,
    product="Thales (SafeNet) ProtectServer with ProtectToolkit-C",
    libraries=_read(
        ("/opt/safenet/protecttoolkit7/ptk/lib/libcryptoki.so", "/opt/safenet/protecttoolkit5/ptk/lib/libcryptoki.so"),
        "public source of its users",
    ),
    settings=_read("ET_HSM_NETCLIENT_SERVERLIST, or /etc/default/et_hsm", "public source of its users"),
    pin=_read(PinRule(), f"{_PTK}: introduction to PKCS#11"),
    max_sessions=_read(None, _NOT_TOLD),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_read(None, _NOT_TOLD),
    key_wrap_padded=_read(None, f"{_PTK}: CKM_WRAPKEY_AES_KWP is a format of its own, not RFC 5649"),
    gcm_nonce=_read(GcmNonce.TOKENS_IN_FIPS_MODE, f"{_PTK}: CKM_AES_GCM_OLD"),
    quirks=(
        _read("in FIPS mode the nonce that was used stands behind the tag", f"{_PTK}: CKM_AES_GCM_OLD"),
        _read("AES-GCM in one part only; additional data of 32768 bytes at most", f"{_PTK}: CKM_AES_GCM_OLD"),
        _read("a Luna that is still called SafeNet is `thales`", "pdfslide.net, ProtectToolkit-C 5.6"),
    ),
)

_UTIMACO: Final = VendorProfile(
    vendor=Vendor.UTIMACO,
    product="Utimaco SecurityServer (CryptoServer)",
    libraries=_read(
        ("/usr/lib/libcs_pkcs11_R3.so", "/lib/libcs_pkcs11_R3.so", "/opt/utimaco/lib/libcs_pkcs11_R3.so"),
        "Cosmian/kms and other public source of its users",
    ),
    settings=_read("CS_PKCS11_R3_CFG, or /etc/utimaco/cs_pkcs11_R3.cfg", "Cosmian/kms"),
    pin=_read(PinRule(), "public source of its users: the slot's user PIN"),
    max_sessions=_read(None, _NOT_TOLD),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_read(None, _NOT_TOLD),
    key_wrap_padded=_read(None, _NOT_TOLD),
    gcm_nonce=_read(GcmNonce.OURS, "Cosmian/kms, crate/hsm/utimaco: supports_aes_gcm_caller_iv"),
    quirks=(_read("a library of the older interface is called libcs_pkcs11_R2.so", "Utimaco, PKCS#11 R2 guide"),),
)

_AWS: Final = "docs.aws.amazon.com, CloudHSM, Client SDK 5"
_AWS_MECHANISMS: Final = f"{_AWS}: mechanisms"
_AWS_ISSUES: Final = f"{_AWS}: known issues"
_AWS_CLOUDHSM: Final = VendorProfile(
    vendor=Vendor.AWS_CLOUDHSM,
    product="AWS CloudHSM",
    libraries=_read(("/opt/cloudhsm/lib/libcloudhsm_pkcs11.so",), "public source of its users"),
    settings=_read("/opt/cloudhsm/etc/cloudhsm-pkcs11.cfg, written by configure-pkcs11", "public source of its users"),
    pin=_read(PinRule(PinForm.USER_AND_PASSWORD), f"{_AWS}: authenticate"),
    max_sessions=_read(None, _NOT_TOLD),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_read(_OF_A_VENDOR + _AES_KEY_WRAP, "aws-samples/aws-cloudhsm-pkcs11-examples"),
    key_wrap_padded=_read(_OF_A_VENDOR + 0x216F, "aws-samples/aws-cloudhsm-pkcs11-examples"),
    gcm_nonce=_read(GcmNonce.TOKENS, _AWS_MECHANISMS),
    quirks=(
        _read("AES-GCM writes its nonce of 12 bytes into a parameter that must hold zeros", _AWS_MECHANISMS),
        _read("AES-GCM takes 16224 bytes at most", _AWS_MECHANISMS),
        _read("no read-only sessions", _AWS_ISSUES),
        _read("throttled, C_GetAttributeValue answers CKR_DEVICE_ERROR; asking again helps", _AWS_ISSUES),
        _read("part of ECDH is done outside of the HSM", _AWS_ISSUES),
        _read("a cluster copies keys among its HSMs by itself", f"{_AWS}: key durability"),
        _read(
            "a key that is not on two HSMs yet is not used, unless --disable-key-availability-check was given",
            f"{_AWS}: key durability",
        ),
    ),
)

_AZURE_DEDICATED: Final = msgspec.structs.replace(
    _THALES,
    vendor=Vendor.AZURE_DEDICATED_HSM,
    product="Azure Dedicated HSM, a Thales Luna 7 A790",
    quirks=(
        *_THALES.quirks,
        _read(
            "it is being retired: no new customers, support until 2028-07-31; Azure Cloud HSM follows it",
            "learn.microsoft.com, Secure your Azure Dedicated HSM",
        ),
    ),
)

_AZURE: Final = "learn.microsoft.com, Azure Cloud HSM"
_AZURE_GUIDE: Final = "microsoft/MicrosoftAzureCloudHSM, PKCS11 Integration Guide"
_AZURE_CLOUD: Final = VendorProfile(
    vendor=Vendor.AZURE_CLOUD_HSM,
    product="Azure Cloud HSM, a Marvell LiquidSecurity",
    libraries=_read(("/opt/azurecloudhsm/lib64/libazcloudhsm_pkcs11.so",), _AZURE_GUIDE),
    settings=_read("azcloudhsm_application.cfg in the working directory", f"{_AZURE}: troubleshoot"),
    pin=_read(PinRule(PinForm.USER_AND_PASSWORD), f"{_AZURE}: authentication"),
    max_sessions=_read(None, _NOT_TOLD),
    idle_seconds=_read(None, _NOT_TOLD),
    key_wrap=_read(None, f"{_AZURE_GUIDE} has CKM_AES_KEY_WRAP and …_NO_PAD, and does not say which is RFC 3394"),
    key_wrap_padded=_read(None, f"{_AZURE_GUIDE} has …_PAD and …_PKCS5_PAD, and does not say which is RFC 5649"),
    gcm_nonce=_read(None, f"{_AZURE_GUIDE} has CKM_AES_GCM, and calls CKM_CLOUDHSM_AES_GCM the safer one"),
    quirks=(
        _read("azcloudhsm_client has to run; without it C_Initialize answers CKR_GENERAL_ERROR", _AZURE_GUIDE),
        _read("a second application that logs in or out on the same machine does so for all", f"{_AZURE}: sessions"),
        _read("a cluster has three partitions, and copies keys among them by itself", f"{_AZURE}: overview"),
        _read("its FIPS 140-3 certificate is CMVP's 4700", f"{_AZURE}: overview"),
        _read("200 P-384 signatures a second, one new key a second, 3200 keys", f"{_AZURE}: service limits"),
        _read("an HSM may be swapped under a running call; asking again helps", f"{_AZURE}: authentication"),
    ),
)

_YUBICO: Final = "Yubico/yubihsm-shell, pkcs11"
_YUBICO_GUIDE: Final = "docs.yubico.com, YubiHSM 2 User Guide"
_YUBIHSM: Final = VendorProfile(
    vendor=Vendor.YUBIHSM,
    product="YubiHSM 2",
    libraries=_read(
        ("/usr/lib/x86_64-linux-gnu/pkcs11/yubihsm_pkcs11.so", "/usr/lib64/pkcs11/yubihsm_pkcs11.so"),
        f"{_YUBICO}/CMakeLists.txt; the wiki of dogtagpki/pki",
    ),
    settings=_read("YUBIHSM_PKCS11_CONF, or yubihsm_pkcs11.conf in the working directory", _YUBICO_GUIDE),
    pin=_read(PinRule(PinForm.AUTHENTICATION_KEY_AND_PASSWORD, 12, 68), f"{_YUBICO_GUIDE}; the wiki of dogtagpki/pki"),
    max_sessions=_read(16, "pkg.go.dev, nholstein/yubihsm"),
    idle_seconds=_read(30, "pkg.go.dev, nholstein/yubihsm; oxidecomputer/offline-keystore#44"),
    key_wrap=_read(0, f"{_YUBICO}/util_pkcs11.c"),
    key_wrap_padded=_read(_AES_KEY_WRAP_KWP, f"{_YUBICO}/util_pkcs11.c"),
    gcm_nonce=_read(GcmNonce.NO_GCM, f"{_YUBICO}/util_pkcs11.c"),
    quirks=(
        _read("it wants a connector, a daemon or USB, which its configuration names", _YUBICO_GUIDE),
        _read("the library says that it has no limit of sessions; the device has", f"{_YUBICO}/yubihsm_pkcs11.c"),
        _read("256 objects at most, of 126 KB together", _YUBICO_GUIDE),
        _read(
            "KWP, AES and the rest are there only where the device's firmware lists them", f"{_YUBICO}/util_pkcs11.c"
        ),
    ),
)

PROFILES: Final[dict[Vendor, VendorProfile]] = {
    row.vendor: row
    for row in (
        _SOFTHSM,
        _NSS,
        _THALES,
        _SAFENET,
        _UTIMACO,
        _AWS_CLOUDHSM,
        _AZURE_DEDICATED,
        _AZURE_CLOUD,
        _YUBIHSM,
    )
}


def vendor_of_library(path: str) -> Vendor | None:
    """Tell a vendor by the name of a library's file; None where nobody has that name.

    A Luna is `thales`, wherever it stands.
    """
    name = path.rpartition("/")[2]
    for vendor, row in PROFILES.items():
        if any(library.rpartition("/")[2] == name for library in row.libraries.value):
            return vendor
    return None
