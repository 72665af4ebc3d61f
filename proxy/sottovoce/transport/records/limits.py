"""Sizes and counts of TLS 1.3 records."""

import msgspec

# What TLS demands.

CONTENT_BYTES = 16_384
"""The most content in one record (RFC 8446 §5.1)."""

INNER_BYTES = CONTENT_BYTES + 1
"""The most that may be encrypted in one record: content, its type, and padding (RFC 8446 §5.4)."""

CIPHERTEXT_BYTES = CONTENT_BYTES + 256
"""The most behind a record's header (RFC 8446 §5.2)."""

# What we chose.

EMPTY_RECORDS = 32
"""Records without content in a row.  They hide when somebody speaks (RFC 8446 §5.1), and cost as much as others."""

MILD_ALERTS = 4
"""Alerts in a row that end nothing: user_canceled."""

HASTY_KEYS = 32
"""Keys in a row that the peer may put away before they have carried `RECORDS_OF_A_KEY`: each costs as much as ten
records."""

RECORDS_OF_A_KEY = 32
"""See `HASTY_KEYS`."""

RESTING_RECORDS = 8
"""So many may pass in a direction that rests, where each costs 15 microseconds more: heartbeats, a step to other keys.
A connection has not had more, one way, when its handshakes are over."""


class KeyLimits(msgspec.Struct, frozen=True):
    """How many records a key may protect.  For AES-GCM it must be less than 2^24.5 (RFC 8446 §5.5)."""

    sent: int = 1 << 22
    """Then we change our key: a day's audio, and 64 GiB at most."""
    asked: int = 1 << 23
    """Then we ask the peer to change its key, which it must do before it sends more."""
    received: int = 23_726_566
    """2^24.5: a peer that has not changed its key by then is refused."""


KEY_LIMITS = KeyLimits()
