"""`sottovoce serve`: a proxy's parts, how they are put together, and how they are given a changed configuration."""

from sottovoce.app.serving.lifetime import Announce, serve
from sottovoce.app.serving.upgrade import Program

__all__ = ["Announce", "Program", "serve"]
