"""X.509: the root and issuing CA, whose keys are in the token, and the TLS leaves they vouch for.

The proxy's side is `LeafKeeper`; in the token process `leaf_handler` answers it.
"""

from sottovoce.pki.errors import IssuerUnusable, LeafRefused, LeafWrong, PkiError
from sottovoce.pki.facts import CertificateFacts, certificate_facts, certificate_pem
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
    "IssueLeaf",
    "IssuerUnusable",
    "Keeper",
    "Leaf",
    "LeafKeeper",
    "LeafRefused",
    "LeafWrong",
    "PkiError",
    "RenewalEvent",
    "RenewalFailed",
    "TokenKey",
    "Validity",
    "certificate_facts",
    "certificate_pem",
    "check_root_certificate",
    "general_names",
    "leaf_handler",
    "make_ca_certificates",
    "read_issuing_certificate",
]
