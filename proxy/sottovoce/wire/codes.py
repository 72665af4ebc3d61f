"""The codes a session can end with (protocol §10): WebSocket close code, and the content of frame type 7."""

from enum import IntEnum


class Code(IntEnum):
    """Why a session ended.  One code a row of protocol §10, and nothing more for the peer."""

    NORMAL = 1000
    GOING_AWAY = 1001
    BAD_RECORD = 4400
    AUTH_FAILED = 4401
    POLICY = 4403
    NO_COMMON_SUITE = 4406
    EXPIRED = 4408
    REPLAY_OR_GAP = 4409
    DECRYPT_FAILED = 4410
    REKEY_PROTOCOL = 4411
    ILLEGAL_SHARE = 4412
    TOO_LARGE = 4413
    BINDING_MISMATCH = 4415
    KEY_LIMIT = 4421
    RATE_LIMITED = 4429
    BACKEND_DOWN = 4450
    DRAINING = 4460
    INTERNAL = 4499

    @property
    def label(self) -> str:
        """The name in the protocol's text: `bad_record`."""
        return self.name.lower()


def code_label(number: int) -> str:
    """Name a code that came from a peer: its label where we know it, else the number."""
    try:
        return Code(number).label
    except ValueError:
        return str(number)
