"""Names of log events: a thing and what happened to it.  Details go into fields, never into the name.

A name is an interface: operators search and count by it.  Renaming one is a change that they can notice.
"""

from typing import Final

# The process
CONFIGURATION_LOADED: Final = "configuration.loaded"
CONFIGURATION_REFUSED: Final = "configuration.refused"
RESTART_NEEDED: Final = "restart.needed"
CLIENTS_LOADED: Final = "clients.loaded"
CLIENTS_REFUSED: Final = "clients.refused"
PROXY_READY: Final = "proxy.ready"
PROXY_DRAINING: Final = "proxy.draining"
PROXY_STOPPED: Final = "proxy.stopped"
ADMIN_EXPOSED: Final = "admin.exposed"
FILE_LIMIT_RAISED: Final = "file_limit.raised"
LIBRARY_WARNED: Final = "library.warned"
TASK_CRASHED: Final = "task.crashed"

# Workers, where there are several
WORKER_STARTED: Final = "worker.started"
WORKER_LOST: Final = "worker.lost"
WORKER_ENDED: Final = "worker.ended"
SUPERVISOR_LOST: Final = "supervisor.lost"
REPLACEMENT_BEGUN: Final = "replacement.begun"
REPLACEMENT_REFUSED: Final = "replacement.refused"
REPLACEMENT_DONE: Final = "replacement.done"

# Connections, before there is a voice session
TLS_REFUSED: Final = "tls.refused"
UPGRADE_REFUSED: Final = "upgrade.refused"
CONNECTION_REFUSED: Final = "connection.refused"

# Voice sessions
SESSION_ESTABLISHED: Final = "session.established"
SESSION_REFUSED: Final = "session.refused"
SESSION_REKEYED: Final = "session.rekeyed"
SESSION_ENDED: Final = "session.ended"
CLASSICAL_SUITE_USED: Final = "classical_suite.used"

# Backends
BACKEND_LOST: Final = "backend.lost"
BACKEND_SILENT: Final = "backend.silent"
PLAINTEXT_NETWORK_ALLOWED: Final = "plaintext_network.allowed"

# Keys and certificates
TOKEN_STARTED: Final = "token.started"
TOKEN_LOST: Final = "token.lost"
ROOT_SIGNED: Final = "root.signed"
SIGNATURE_DROPPED: Final = "signature.dropped"
LEAF_ISSUED: Final = "leaf.issued"
LEAF_RENEWAL_FAILED: Final = "leaf.renewal_failed"
VOICE_CERTIFICATE_ISSUED: Final = "voice_certificate.issued"
VOICE_CERTIFICATE_RENEWAL_FAILED: Final = "voice_certificate.renewal_failed"
HSM_SEALED: Final = "hsm.sealed"
HSM_UNSEALING: Final = "hsm.unsealing"
HSM_UNSEALED: Final = "hsm.unsealed"
HSM_SHARE_REFUSED: Final = "hsm.share_refused"
HSM_SEAL_STATE_LOST: Final = "hsm.seal_state_lost"
TICKET_KEY_REPLACED: Final = "ticket_key.replaced"
TICKET_KEY_FAILED: Final = "ticket_key.failed"

# The audit log
AUDIT_REPAIRED: Final = "audit.repaired"
AUDIT_FAILED: Final = "audit.failed"
