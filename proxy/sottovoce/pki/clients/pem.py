"""PEM files with several things in them (RFC 7468), and how a name from a certificate is shown.  Pure."""

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from sottovoce.primitives import one_line

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for bytes that are no certificate or list, at once or when they are looked into."""
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\n.*?-----END \1-----", re.DOTALL)


def pem_blocks(pem: bytes, label: bytes) -> Iterator[bytes]:
    """Give each block of a label, as it stands there."""
    return (match[0] for match in _PEM.finditer(pem.replace(b"\r\n", b"\n")) if match[1] == label)


def shown(whose: x509.Certificate | x509.CertificateRevocationList) -> str:
    """Give the name of a certificate's owner or a list's issuer as one short printable word of a message."""
    try:
        name = whose.subject if isinstance(whose, x509.Certificate) else whose.issuer
        text = name.rfc4514_string()
    except UNREADABLE:  # the library reads a name when it is asked for, not before
        text = "?"
    return one_line(text) or "(no name)"
