"""Revocation lists (RFC 5280 §5) of clients' CAs.  Pure.

A list is taken whole or not at all: signed by a CA that was named, not outdated, neither a part of a list nor one for
others.  What it would mean to take half of one is that somebody whose certificate was revoked gets in.
"""

from collections.abc import Iterable, Sequence

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from sottovoce.pki.clients.pem import UNREADABLE, pem_blocks, shown
from sottovoce.pki.errors import RevocationListUnusable

CLOCK_TOLERANCE_SECONDS = 300
"""By how much a list may come from the future: clocks differ."""
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    }
)


class RevocationList(msgspec.Struct, frozen=True):
    """The serial numbers of one CA's revoked certificates, and until when (Unix seconds) that is all of them."""

    serials: frozenset[int]
    ends_at: float


def read_lists(pem: bytes, cas: Sequence[x509.Certificate], now: float) -> list[RevocationList]:
    """Give the list of each CA, in their order.  Raises RevocationListUnusable."""
    lists = [_read(block) for block in pem_blocks(pem, b"X509 CRL")]
    if not lists:
        raise RevocationListUnusable("it holds no list in PEM: write one of each CA, from BEGIN X509 CRL to its END")
    found: dict[int, RevocationList] = {}
    for each in lists:
        issuer = _issuer(each, cas)
        if issuer in found:
            text = f"{shown(each)} has two lists: write only its last one"
            raise RevocationListUnusable(text)
        found[issuer] = _checked(each, now)
    for number, ca in enumerate(cas):
        if number not in found:
            raise RevocationListUnusable(f"the CA {shown(ca)} has no list: write its list too, be it empty")
    _refuse_revoked_cas(cas, found.values())
    return [found[number] for number in range(len(cas))]


def _read(block: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(block)
    except UNREADABLE:
        raise RevocationListUnusable("a list in it is damaged: write it as openssl crl -outform PEM does") from None


def _issuer(each: x509.CertificateRevocationList, cas: Sequence[x509.Certificate]) -> int:
    """Find whose list it is, by name and by signature.  A SHA-1 signature is none."""
    try:
        if isinstance(each.signature_hash_algorithm, _HASHES):
            for number, ca in enumerate(cas):
                key = ca.public_key()
                if ca.subject == each.issuer and _may_sign(ca) and each.is_signature_valid(key):  # type: ignore[arg-type]
                    return number
    except UNREADABLE:
        pass
    text = f"the list of {shown(each)} is signed by none of the CAs in clients.ca_file: ask that CA for its list"
    raise RevocationListUnusable(text)


def _may_sign(ca: x509.Certificate) -> bool:
    try:
        return ca.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _checked(each: x509.CertificateRevocationList, now: float) -> RevocationList:
    whose = f"the list of {shown(each)}"
    try:
        _check_extensions(each, whose)
        begins, ends = each.last_update_utc, each.next_update_utc
        serials = frozenset(entry.serial_number for entry in each)
    except UNREADABLE:
        raise RevocationListUnusable(f"{whose} cannot be read: ask its CA for another") from None
    if ends is None:
        raise RevocationListUnusable(
            f"{whose} does not say when the next one comes: ask its CA for one with nextUpdate"
        )
    if now >= ends.timestamp():
        text = f"{whose} is outdated since {ends:%Y-%m-%d %H:%M} UTC: ask its CA for a new one, and write that"
        raise RevocationListUnusable(text)
    if now < begins.timestamp() - CLOCK_TOLERANCE_SECONDS:
        raise RevocationListUnusable(f"{whose} is valid only from {begins:%Y-%m-%d %H:%M} UTC on: check the clock")
    return RevocationList(serials, ends.timestamp())


def _check_extensions(each: x509.CertificateRevocationList, whose: str) -> None:
    for extension in each.extensions:
        if isinstance(point := extension.value, x509.IssuingDistributionPoint):
            if (
                point.indirect_crl
                or point.only_some_reasons
                or point.only_contains_ca_certs
                or point.only_contains_attribute_certs
            ):
                raise RevocationListUnusable(f"{whose} is not for all clients: ask its CA for a full list")
        elif isinstance(point, x509.DeltaCRLIndicator):
            raise RevocationListUnusable(f"{whose} holds changes only: ask its CA for a full list")
        elif extension.critical and extension.oid not in _KNOWN:
            oid = extension.oid.dotted_string
            raise RevocationListUnusable(f"{whose} has the unknown critical extension {oid}: ask for one without it")


def _refuse_revoked_cas(cas: Sequence[x509.Certificate], lists: Iterable[RevocationList]) -> None:
    """Look for a CA that another of them has revoked."""
    revoked = {
        (ca.subject.public_bytes(), serial) for ca, each in zip(cas, lists, strict=True) for serial in each.serials
    }
    for ca in cas:
        if (ca.issuer.public_bytes(), ca.serial_number) in revoked:
            text = f"the CA {shown(ca)} is revoked by its own CA: write clients.ca_file without it"
            raise RevocationListUnusable(text)
