"""`sottovoce serve`: a proxy's parts, how they are put together, and how they are given a changed configuration."""

from sottovoce.app.serving.lifetime import Announce, serve

__all__ = ["Announce", "serve"]
