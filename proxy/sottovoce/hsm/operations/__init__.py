"""What tokens do with keys beside their own: a class for the proxy's side, and the handlers of the token process."""

from sottovoce.hsm.operations.changes import ChangeKind, KeyChange
from sottovoce.hsm.operations.handlers import MAX_RANDOM_BYTES, key_handlers, key_making_handlers
from sottovoce.hsm.operations.making import Ended
from sottovoce.hsm.operations.messages import (
    DESTROY,
    FIND,
    HEALTH,
    PROVE,
    Destroy,
    Find,
    Health,
    Prove,
)
from sottovoce.hsm.operations.placing import KeyPool, Outcome, Terms, nodes_up, on_each
from sottovoce.hsm.operations.results import DataKey, SealedBy, Signature, WrappedBy
from sottovoce.hsm.operations.syncing import KeySynced, SyncOutcome
from sottovoce.hsm.operations.token_keys import TokenKeys

__all__ = [
    "DESTROY",
    "FIND",
    "HEALTH",
    "MAX_RANDOM_BYTES",
    "PROVE",
    "ChangeKind",
    "DataKey",
    "Destroy",
    "Ended",
    "Find",
    "Health",
    "KeyChange",
    "KeyPool",
    "KeySynced",
    "Outcome",
    "Prove",
    "SealedBy",
    "Signature",
    "SyncOutcome",
    "Terms",
    "TokenKeys",
    "WrappedBy",
    "key_handlers",
    "key_making_handlers",
    "nodes_up",
    "on_each",
]
