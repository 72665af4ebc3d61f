"""PEM files with several things in them (RFC 7468), and how a name from a certificate is shown.  Pure."""

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

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
_MAX_SHOWN = 200


def pem_blocks(pem: bytes, label: bytes) -> Iterator[bytes]:
    """Give each block of a label, as it stands there."""
    return (match[0] for match in _PEM.finditer(pem.replace(b"\r\n", b"\n")) if match[1] == label)


def shown(name: x509.Name) -> str:
    """Give a name as one short printable word of a message."""
    try:
        text = name.rfc4514_string()
    except ValueError:
        text = "?"
    return "".join(char if char.isprintable() else "?" for char in text)[:_MAX_SHOWN] or "(no name)"
