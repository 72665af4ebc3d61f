"""The `realtime` adapter: OpenAI's Realtime dialect, spoken to a server as a client with a WebSocket speaks it.  Pure.

What is sent and what is not: `docs/backend-realtime.md`.
"""

from sottovoce.relay.realtime.dialect import RealtimeDialect
from sottovoce.relay.realtime.formats import CODECS
from sottovoce.relay.realtime.messages import MAX_MESSAGE_BYTES
from sottovoce.relay.realtime.options import RealtimeOptions, authorization_of, session_of

__all__ = ["CODECS", "MAX_MESSAGE_BYTES", "RealtimeDialect", "RealtimeOptions", "authorization_of", "session_of"]
