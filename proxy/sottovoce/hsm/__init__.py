"""Hardware security modules: each token in a process of its own, reached over a socketpair.

The proxy's side is `open_pool` and `Cluster.call_on`; the token process is `run_token_process` with the handlers that
the packages above compose.  What crosses is parsed values only: no digest, no PIN, no seed; the one secret that may is
a key that was wrapped for the proxy's own use.
"""

from sottovoce.hsm.calling import Answered, Ask, Caller, Pool
from sottovoce.hsm.config import ONLY_NODE, HsmConfig, NodeConfig, NodeName
from sottovoce.hsm.errors import (
    HsmBusy,
    HsmError,
    HsmTimeout,
    HsmUnavailable,
    HsmWrongPin,
    KeyMissing,
    ModuleUnusable,
    OperationRefused,
    PinUnreadable,
    SealedSeedInvalid,
    TokenLost,
    TokenMissing,
    TokenProcessFailed,
)
from sottovoce.hsm.messages import (
    PROBE,
    STATUS,
    WORKERS,
    Operation,
    Probe,
    ProbeAnswer,
    Start,
    Status,
    StatusAnswer,
)
from sottovoce.hsm.pool import Cluster, open_pool, open_token
from sottovoce.hsm.process import Counts, Handler, KeyName, Worker, run_token_process
from sottovoce.hsm.reports import (
    ANSWERED,
    CANCELLED,
    Breaker,
    NodeReport,
    NodeStatus,
    PoolStatus,
    Report,
    TokenDown,
    TokenEvent,
    TokenLocked,
    TokenState,
    TokenTimes,
    TokenUp,
)
from sottovoce.hsm.seeds import SealedSeed, WrappedKey, read_sealed_seed
from sottovoce.hsm.softhsm import configuration_text, find_softhsm, new_configuration

__all__ = [
    "ANSWERED",
    "CANCELLED",
    "ONLY_NODE",
    "PROBE",
    "STATUS",
    "WORKERS",
    "Answered",
    "Ask",
    "Breaker",
    "Caller",
    "Cluster",
    "Counts",
    "Handler",
    "HsmBusy",
    "HsmConfig",
    "HsmError",
    "HsmTimeout",
    "HsmUnavailable",
    "HsmWrongPin",
    "KeyMissing",
    "KeyName",
    "ModuleUnusable",
    "NodeConfig",
    "NodeName",
    "NodeReport",
    "NodeStatus",
    "Operation",
    "OperationRefused",
    "PinUnreadable",
    "Pool",
    "PoolStatus",
    "Probe",
    "ProbeAnswer",
    "Report",
    "SealedSeed",
    "SealedSeedInvalid",
    "Start",
    "Status",
    "StatusAnswer",
    "TokenDown",
    "TokenEvent",
    "TokenLocked",
    "TokenLost",
    "TokenMissing",
    "TokenProcessFailed",
    "TokenState",
    "TokenTimes",
    "TokenUp",
    "Worker",
    "WrappedKey",
    "configuration_text",
    "find_softhsm",
    "new_configuration",
    "open_pool",
    "open_token",
    "read_sealed_seed",
    "run_token_process",
]
