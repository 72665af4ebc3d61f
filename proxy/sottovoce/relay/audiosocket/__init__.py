"""The `audiosocket` adapter: Asterisk's AudioSocket, spoken to a server as Asterisk speaks it.  Pure.

What is sent and what is not: `docs/backend-audiosocket.md`.
"""

from sottovoce.relay.audiosocket.dialect import AudioSocketDialect, codecs_of
from sottovoce.relay.audiosocket.framing import open_audiosocket
from sottovoce.relay.audiosocket.options import AudioSocketOptions

__all__ = ["AudioSocketDialect", "AudioSocketOptions", "codecs_of", "open_audiosocket"]
