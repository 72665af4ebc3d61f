"""PEM and DER: certificates, chains, requests, keys."""

import time
from collections.abc import Iterable, Iterator

from sottovoce.app.inspecting.inspection import Fact, Inspection, fact, fault, moment
from sottovoce.pki import (
    CertificateSeen,
    PemSeen,
    PrivateKeySeen,
    PublicKeySeen,
    RequestSeen,
    Unreadable,
    describe_der,
    describe_pem,
)

_BEGIN = b"-----BEGIN "
_DER_SEQUENCE = 0x30


def inspect_pem(data: bytes) -> Inspection | None:
    """Take PEM text; None for what has no block."""
    if _BEGIN not in data:
        return None
    seen = describe_pem(data)
    if not seen:
        return None
    facts = [line for each in seen for line in _facts(each)]
    return Inspection(_kind(seen), _what(seen), tuple(facts), tuple(_faults(seen, time.time())))


def inspect_der(data: bytes) -> Inspection | None:
    """Take a certificate in DER."""
    if data[:1] != bytes([_DER_SEQUENCE]):
        return None
    seen = describe_der(data)
    if seen is None:
        return None
    return Inspection("certificate", _what([seen]), tuple(certificate_facts(seen)), tuple(_faults([seen], time.time())))


def certificate_facts(seen: CertificateSeen) -> Iterator[Fact]:
    """Say what stands in a certificate."""
    yield fact("certificate", seen.subject or "without a subject")
    yield fact("issuer", "itself" if seen.is_self_issued else seen.issuer)
    if seen.names:
        yield fact("for", ", ".join(seen.names))
    yield fact("valid", f"{moment(seen.not_before)} to {moment(seen.not_after)}")
    yield fact("key", seen.key + (", may issue certificates" if seen.is_ca else ""))
    yield fact("serial", seen.serial)
    yield fact("sha256", seen.sha256)


def date_faults(seen: CertificateSeen, wall: float) -> Iterator[str]:
    """Say what is wrong with a certificate's dates at Unix time `wall`."""
    if wall > seen.not_after:
        yield fault(f"{seen.subject} has expired on {moment(seen.not_after)}; have it renewed, or check the clock")
    elif wall < seen.not_before:
        yield fault(f"{seen.subject} is not valid before {moment(seen.not_before)}; check this machine's clock")


def _facts(seen: PemSeen) -> Iterator[Fact]:
    match seen:
        case CertificateSeen():
            yield from certificate_facts(seen)
        case RequestSeen():
            yield fact("request", seen.subject or "without a subject")
            if seen.names:
                yield fact("for", ", ".join(seen.names))
            yield fact("key", seen.key)
        case PrivateKeySeen():
            lock = "encrypted" if seen.is_encrypted else "not encrypted"
            yield fact("private key", f"{seen.key}, {lock}; it is not shown")
        case PublicKeySeen():
            yield fact("public key", seen.key)
        case Unreadable():
            yield fact("unreadable", seen.label)


def _kind(seen: Iterable[PemSeen]) -> str:
    every = list(seen)
    kinds = list(dict.fromkeys(type(each).__name__ for each in every))
    if kinds == ["CertificateSeen"] and len(every) > 1:
        are_roots = all(isinstance(each, CertificateSeen) and each.is_self_issued for each in every)
        return "root certificates" if are_roots else "certificate chain"
    names = {
        "CertificateSeen": "certificate",
        "RequestSeen": "certificate request",
        "PrivateKeySeen": "private key",
        "PublicKeySeen": "public key",
        "Unreadable": "unreadable PEM",
    }
    return " and ".join(names[each] for each in kinds)


def _what(seen: Iterable[PemSeen]) -> str:
    every = list(seen)
    match every:
        case [CertificateSeen() as only]:
            return f"a certificate {_of(only)}"
        case [CertificateSeen() as first, *_] if all(isinstance(each, CertificateSeen) for each in every):
            return f"{len(every)} certificates, the first {_of(first)}"
        case [RequestSeen()]:
            return "a request for a certificate, to be signed by a CA"
        case [PrivateKeySeen()]:
            return "a private key: whoever reads this file can use it, so keep it closed to others"
        case [PublicKeySeen()]:
            return "a public key"
        case [Unreadable(label=label)]:
            return fault(f"PEM text that calls itself {label} and cannot be read")
        case _:
            return f"{len(every)} PEM blocks"


def _of(seen: CertificateSeen) -> str:
    if seen.is_ca:
        return "of a root CA" if seen.is_self_issued else "of a CA"
    return fault(f"for {seen.names[0]}") if seen.names else "without names"


def _faults(seen: Iterable[PemSeen], wall: float) -> Iterator[str]:
    for each in seen:
        match each:
            case CertificateSeen():
                yield from date_faults(each, wall)
            case RequestSeen(is_signed_well=False):
                yield "the request is not signed by its own key; make it anew"
            case Unreadable(label=label):
                yield fault(f"the block {label} cannot be read; copy the file again")
            case _:
                pass
