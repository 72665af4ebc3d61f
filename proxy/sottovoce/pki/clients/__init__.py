"""What clients prove themselves with: certificates of CAs that the operator names, and keys of their own."""

from sottovoce.pki.clients.cas import CertifiedClient, ClientCas
from sottovoce.pki.clients.keys import (
    ClientKeyAlgorithm,
    format_public_key,
    new_private_key,
    parse_public_key,
    read_public_key_file,
)

__all__ = [
    "CertifiedClient",
    "ClientCas",
    "ClientKeyAlgorithm",
    "format_public_key",
    "new_private_key",
    "parse_public_key",
    "read_public_key_file",
]
