"""What tokens do with keys beside their own: a class for the proxy's side, and the handlers of the token process."""

from sottovoce.hsm.operations.handlers import MAX_RANDOM_BYTES, key_handlers, key_making_handlers

__all__ = ["MAX_RANDOM_BYTES", "key_handlers", "key_making_handlers"]
