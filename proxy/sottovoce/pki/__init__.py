"""X.509: our CAs, whose keys are in the token, the TLS leaves they vouch for, and what clients show (`clients`).

The proxy's side is `LeafKeeper`; in the token process `leaf_handler` answers it.
"""

from sottovoce.pki.clients import (
    CertifiedClient,
    ClientCas,
    ClientKeyAlgorithm,
    format_public_key,
    new_private_key,
    parse_public_key,
    read_public_key_file,
)
from sottovoce.pki.describing import (
    CertificateSeen,
    PemSeen,
    PrivateKeySeen,
    PublicKeySeen,
    RequestSeen,
    Unreadable,
    describe_der,
    describe_pem,
)
from sottovoce.pki.errors import (
    ClientCaUnusable,
    ClientKeyUnusable,
    IssuerUnusable,
    LeafRefused,
    LeafWrong,
    PkiError,
    RevocationListUnusable,
)
from sottovoce.pki.facts import CertificateFacts, certificate_facts, certificate_pem
from sottovoce.pki.identities import PackedIdentity, pack_identity, throwaway_identity, unpack_identity
from sottovoce.pki.issuing import (
    ISSUE_LEAF,
    ISSUING_CERTIFICATE,
    CaCertificates,
    IssueLeaf,
    Leaf,
    check_root_certificate,
    leaf_handler,
    make_ca_certificates,
    read_issuing_certificate,
)
from sottovoce.pki.leaf import LeafKeeper
from sottovoce.pki.names import general_names
from sottovoce.pki.profile import LEAF_SECONDS
from sottovoce.pki.renewal import CertificateRenewed, Keeper, RenewalEvent, RenewalFailed, Validity
from sottovoce.pki.token_key import TokenKey

__all__ = [
    "ISSUE_LEAF",
    "ISSUING_CERTIFICATE",
    "LEAF_SECONDS",
    "CaCertificates",
    "CertificateFacts",
    "CertificateRenewed",
    "CertificateSeen",
    "CertifiedClient",
    "ClientCaUnusable",
    "ClientCas",
    "ClientKeyAlgorithm",
    "ClientKeyUnusable",
    "IssueLeaf",
    "IssuerUnusable",
    "Keeper",
    "Leaf",
    "LeafKeeper",
    "LeafRefused",
    "LeafWrong",
    "PackedIdentity",
    "PemSeen",
    "PkiError",
    "PrivateKeySeen",
    "PublicKeySeen",
    "RenewalEvent",
    "RenewalFailed",
    "RequestSeen",
    "RevocationListUnusable",
    "TokenKey",
    "Unreadable",
    "Validity",
    "certificate_facts",
    "certificate_pem",
    "check_root_certificate",
    "describe_der",
    "describe_pem",
    "format_public_key",
    "general_names",
    "leaf_handler",
    "make_ca_certificates",
    "new_private_key",
    "pack_identity",
    "parse_public_key",
    "read_issuing_certificate",
    "read_public_key_file",
    "throwaway_identity",
    "unpack_identity",
]
