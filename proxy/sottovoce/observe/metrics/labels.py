"""The values that labels may have.  Pure.

A label's values are known before the first call, so that nobody from outside can add one: Prometheus keeps a series for
each.  The sets that belong to packages above are repeated here; tests hold them against the enumerations there.
"""

from collections.abc import Container, Mapping
from typing import Final

from sottovoce.primitives import Suite
from sottovoce.wire import Code

OTHER: Final = "other"
NONE: Final = "none"

TLS_GROUPS: Final = frozenset({"X25519MLKEM768", "SecP384r1MLKEM1024", "X25519", "secp256r1", "secp384r1"})
SUITES: Final = frozenset(suite.name for suite in Suite)
CODES: Final[Mapping[int, str]] = {code: code.label for code in Code}
SIDES: Final = frozenset({"client", "proxy", "backend"})
STATUSES: Final = frozenset({"400", "403", "404", "405", "414", "426", "431", "503", NONE})
"""How a request is refused; NONE: it did not come in time."""
TLS_REASONS: Final = frozenset(
    {
        "no_common_group",
        "no_common_version",
        "no_common_cipher",
        "no_common_alpn",
        "not_tls",
        "certificate",
        "handshake_too_large",
        "bad_record",
        "alert",
        "truncated",
        "protocol",
    }
)
BACKEND_FAULTS: Final = frozenset(
    {
        "unreachable",
        "refused",
        "closed",
        "lost",
        "bad_framing",
        "bad_text",
        "bad_audio",
        "flood",
        "failed",
        "stuck",
    }
)
LIMITS: Final = frozenset(
    {
        "max_connections",
        "max_handshakes",
        "max_handshakes_per_address",
        "max_handshakes_per_prefix",
        "max_handshakes_per_second",
        "max_prefix_handshakes_per_second",
    }
)
"""Settings of a listener that refuse connections."""
OPEN_FILES: Final = "open_files"
"""What refuses connections, too: the number of files that the process may open."""
PROXY_HEADER: Final = "proxy_header"
OPERATIONS: Final = frozenset(
    {
        "sign_root",
        "issue_voice_certificate",
        "issue_leaf",
        "new_ticket_key",
        "open_ticket_key",
        "create_keys",
        "probe",
        "status",
    }
)
HSM_OUTCOMES: Final = {
    "answered": "answered",
    "cancelled": "cancelled",
    "HsmTimeout": "timeout",
    "HsmBusy": "busy",
    "HsmUnavailable": "unavailable",
    "HsmWrongPin": "locked",
    "HsmSealed": "sealed",
}
"""By what `hsm` calls them; every other error is `failed`."""
CERTIFICATES: Final = frozenset({"tls_leaf", "voice"})
ROOTS: Final = frozenset({"server_verify", "rekey_verify"})
TICKET_KEYS: Final = frozenset({"replaced", "erased", "failed"})
RELOADS: Final = {"configuration": ("taken", "refused", "restart_needed"), "clients": ("taken", "refused")}
"""What is read again while the proxy runs, and what may become of it."""


def known(value: str, values: Container[str]) -> str:
    """Give the value if it is one of `values`, else OTHER."""
    return value if value in values else OTHER


def code_of(number: int) -> str:
    """Name a code of protocol §10; a peer may have sent any number."""
    return CODES.get(number, OTHER)


def limit_of(reason: str) -> str:
    """Name what refused a connection: the text begins with the limit."""
    if reason.startswith("PROXY protocol"):
        return PROXY_HEADER
    if reason.startswith(OPEN_FILES):
        return OPEN_FILES
    return known(reason.partition(" ")[0], LIMITS)


def fault_of(reason: str) -> str:
    """Name what was wrong with a backend: the text begins with its BackendFault."""
    return known(reason.partition(":")[0], BACKEND_FAULTS)
