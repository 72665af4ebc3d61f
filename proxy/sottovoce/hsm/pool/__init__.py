"""The proxy's side of tokens: their processes, whatever happens to them, and who gets the next turn."""

from sottovoce.hsm.pool.token import Token, open_token

__all__ = ["Token", "open_token"]
