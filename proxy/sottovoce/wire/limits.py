"""Sizes and counts of the protocol, in two groups: what the protocol demands, and what we chose within it."""

# Demanded by the protocol.
MAX_MESSAGE_BYTES = 16_384
"""A handshake message with its 4-byte header (§2)."""
MAX_HANDSHAKE_BYTES = 65_536
"""All handshake messages of one handshake, both directions (§2)."""
MAX_RECORD_BYTES = 16_384
"""An SFrame record with header and tag (§2)."""
MAX_SMALL_RECORD_BYTES = 8_192
"""The same for every frame type but 6, 7, 8 and 13 (§2)."""
MAX_PATH_NODES = 16
"""Nodes in a Merkle path (§3)."""
MAX_TICKET_BYTES = 1_024
MAX_TICKET_SECONDS = 3_600
MAX_METADATA_BYTES = 4_096
MAX_JSON_BYTES = 4_000
MAX_DATA_BYTES = 8_000
MAX_MARK_BYTES = 64
MAX_DTMF_EVENT = 15
PING_BYTES = 8
MAX_AUTHORITIES_BYTES = 1_024
"""All names of a voice certificate together, with their length fields (§6)."""
EPOCH_SECONDS = range(2, 3_600 + 1)
MESSAGES_PER_KEY = range(16, 65_536 + 1)
FRAME_MILLISECONDS = (10, 20, 40, 60)
MAX_EPOCH = 2**32 - 1
CONTROL_FRAMES_PER_SECOND = 50
CONTROL_FRAMES_BURST = 250
"""What a receiver takes of frames that draw on the bucket of §9."""
PONGS_PER_SECOND = 5
"""Pings beyond it stay unanswered (§9)."""

LOSSY_FAILURES = 1_000
"""Datagrams of an epoch that fail in a way that counts, before the session ends (§7)."""

# Chosen by us.
DATAGRAM_BYTES = 1_100
"""What fits a QUIC datagram on every path: 1 200 bytes (RFC 9000 §14) less the headers and the tag of QUIC itself."""
SLOT_QUEUE_FRAMES = 64
"""Frames that may wait for their slots under padding class 2; then `send_…` says: not now."""
SLOT_CATCH_UP = 5
"""Slots that a sender which woke late makes up for; the others stay empty."""
SENT_CONTROL_FRAMES_PER_SECOND = 20
SENT_CONTROL_FRAMES_BURST = 40
"""What a sender spends of the receiver's bucket.

A receiver counts when frames arrive, so a network that stalls makes a burst of what was sent in time.  In any time t
at most 40 + 20 · (t + d) frames arrive that were held up by at most d seconds, and 1 + (t + d) pings of root steps,
which ask for no token here (steps are at least a second apart).  That is within 250 + 50 · t, for every t, up to
`MAX_STALL_SECONDS`.
"""
MAX_STALL_SECONDS = 9
MAX_TOKEN_BYTES = 8_192
"""A bearer token: with it a client's flight stays below the limit of a message."""
MAX_COVER_BYTES = 8_000
MAX_TRANSPORT_MESSAGE_BYTES = 3 + 65_535
"""The carriage's own message limit: the largest record that the syntax of §2 can express."""
