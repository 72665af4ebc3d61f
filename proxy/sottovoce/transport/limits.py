"""Sizes and times of the carriage."""

# What the protocols demand.

RECORD_PLAINTEXT_BYTES = 16_384
"""The most plaintext in one TLS record (RFC 8446 §5.1)."""

EXPORTER_BYTES = 32
"""Length of the tls-exporter channel binding (RFC 9266 §2)."""

CLOSE_SECONDS = 5.0
"""How long a side that ended a session reads and discards before it drops the connection (docs/protocol.md §7)."""

# What we chose.

HANDSHAKE_SECONDS = 10.0
"""From the accepted connection to the HTTP upgrade, TLS handshake included, unless the configuration says otherwise."""

HANDSHAKE_BYTES = 32_768
"""The most we read before a TLS handshake is complete.  A hybrid ClientHello has 1.9 KB, and comes twice after
HelloRetryRequest; a chain of three ML-DSA-87 certificates has 22 KB."""

UPGRADE_BYTES = 16_384
"""The most an HTTP/1.1 request or response head may have before the WebSocket opens."""

MAX_IDLE_FRAMES = 1_024
"""WebSocket pings and pongs that a server takes without a whole message; a fragment counts as four, which it costs."""

IDLE_FRAMES_PAID = 16
"""For how many of these a message makes up.  Then a byte of them costs no more than one of audio; and a client that
pings every 20 s has that many in an epoch of five minutes, in which it sends a message even if it is silent."""

READ_BYTES = 65_536
"""How much is asked of a socket at once."""

SEND_BYTES = 65_536
"""How much plaintext is encrypted before it is flushed: it bounds the memory of a large send."""
