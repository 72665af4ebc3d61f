"""What each code, fault, status and event means, its usual causes, and what to do: `sottovoce explain`, docs/errors.md.

One table for people and programs.  What a caller should do about the end of a call is taken from the client's errors
(`sottovoce.client`), so that the two cannot say different things.
"""

from sottovoce.app.explaining.entries import Entry, Kind
from sottovoce.app.explaining.table import TABLE, document, find, nearest

__all__ = ["TABLE", "Entry", "Kind", "document", "find", "nearest"]
