"""What tokens do with keys beside their own: a class for the proxy's side, and the handlers of the token process."""

from sottovoce.hsm.operations.handlers import MAX_RANDOM_BYTES, key_handlers, key_making_handlers
from sottovoce.hsm.operations.making import Ended
from sottovoce.hsm.operations.messages import HEALTH, Health
from sottovoce.hsm.operations.placing import KeyPool
from sottovoce.hsm.operations.results import DataKey, SealedBy, Signature, WrappedBy
from sottovoce.hsm.operations.token_keys import TokenKeys

__all__ = [
    "HEALTH",
    "MAX_RANDOM_BYTES",
    "DataKey",
    "Ended",
    "Health",
    "KeyPool",
    "SealedBy",
    "Signature",
    "TokenKeys",
    "WrappedBy",
    "key_handlers",
    "key_making_handlers",
]
