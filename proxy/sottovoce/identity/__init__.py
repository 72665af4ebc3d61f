"""Who we are to clients, and who they are to us: voice certificates, signed handshakes, anchors, clients."""

from sottovoce.identity.anchors import load_anchors
from sottovoce.identity.batcher import Batcher, BatchEvent, BatchFailed, BatchSigned
from sottovoce.identity.clients import (
    ClientEntry,
    Clients,
    ClientsConfig,
    ClientsContents,
    ClientsFile,
    add_client,
    read_clients,
    read_clients_file,
    read_contents,
    reread_contents,
    revoke_clients,
)
from sottovoce.identity.config import IdentityConfig
from sottovoce.identity.errors import (
    AnchorsUnusable,
    ClientRefused,
    ClientsUnusable,
    IdentityError,
    VoiceCertificateRefused,
)
from sottovoce.identity.keeper import (
    CertificateKeeper,
)
from sottovoce.identity.operations import (
    ISSUE_VOICE_CERTIFICATE,
    MAX_VOICE_CERTIFICATE_SECONDS,
    SIGN_ROOT,
    IssuedVoiceCertificate,
    IssueVoiceCertificate,
    RootSignatures,
    SignRoot,
)
from sottovoce.identity.signing import (
    ANCHOR_ALGORITHM,
    ANCHOR_PURPOSE,
    ANCHOR_SEED,
    SERVING_ALGORITHM,
    SERVING_PURPOSE,
    SERVING_SEED,
    check_authorities,
    identity_handlers,
    open_signer,
)
from sottovoce.identity.tickets import (
    TicketKeyErased,
    TicketKeyEvent,
    TicketKeyFailed,
    TicketKeyReplaced,
    Tickets,
    ticket_handlers,
)

__all__ = [
    "ANCHOR_ALGORITHM",
    "ANCHOR_PURPOSE",
    "ANCHOR_SEED",
    "ISSUE_VOICE_CERTIFICATE",
    "MAX_VOICE_CERTIFICATE_SECONDS",
    "SERVING_ALGORITHM",
    "SERVING_PURPOSE",
    "SERVING_SEED",
    "SIGN_ROOT",
    "AnchorsUnusable",
    "BatchEvent",
    "BatchFailed",
    "BatchSigned",
    "Batcher",
    "CertificateKeeper",
    "ClientEntry",
    "ClientRefused",
    "Clients",
    "ClientsConfig",
    "ClientsContents",
    "ClientsFile",
    "ClientsUnusable",
    "IdentityConfig",
    "IdentityError",
    "IssueVoiceCertificate",
    "IssuedVoiceCertificate",
    "RootSignatures",
    "SignRoot",
    "TicketKeyErased",
    "TicketKeyEvent",
    "TicketKeyFailed",
    "TicketKeyReplaced",
    "Tickets",
    "VoiceCertificateRefused",
    "add_client",
    "check_authorities",
    "identity_handlers",
    "load_anchors",
    "open_signer",
    "read_clients",
    "read_clients_file",
    "read_contents",
    "reread_contents",
    "revoke_clients",
    "ticket_handlers",
]
