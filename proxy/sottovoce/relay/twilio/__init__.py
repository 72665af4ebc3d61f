"""The `twilio` adapter: Twilio's Media Streams dialect, spoken to a backend as Twilio speaks it to a bot.  Pure.

What is sent and what is not: `docs/backend-twilio.md`.
"""

from sottovoce.relay.twilio.dialect import CODECS, TwilioDialect
from sottovoce.relay.twilio.messages import MAX_MESSAGE_BYTES
from sottovoce.relay.twilio.options import TwilioOptions

__all__ = ["CODECS", "MAX_MESSAGE_BYTES", "TwilioDialect", "TwilioOptions"]
