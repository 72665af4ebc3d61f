"""The proxy's side of tokens: their processes, whatever happens to them, and who gets the next turn."""

from sottovoce.hsm.pool.cluster import Cluster
from sottovoce.hsm.pool.opening import open_pool, open_token

__all__ = ["Cluster", "open_pool", "open_token"]
