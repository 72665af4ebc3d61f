"""Events, a clock that stands, and logs made of them."""

from sottovoce.audit import AuditEvent, CallEnded, CallRefused, KeyGenerated, TokenStarted
from sottovoce.audit.chain import ChainEnd, encode_body, encode_record

TIME = "2026-11-24T19:50:10.123456Z"
EVENTS: tuple[AuditEvent, ...] = (
    KeyGenerated(key="serving", algorithm="ecdsa_secp384r1_sha384", token="sottovoce", sha256="ab" * 32),
    TokenStarted(token="sottovoce", pid=7),
    CallRefused(code=4401, reason='"leaf":"\x1b[2J}', client="[::1]:5060"),
    CallEnded(session="9f" * 16, code=1000, reason="", side="client", truncated=False, frames_received=50),
    TokenStarted(token="café", pid=8),
)


class StandingClock:
    """Calendar time that does not pass."""

    def wall(self) -> float:
        return 1_795_549_810.123456


def make_lines(events: tuple[AuditEvent, ...] = EVENTS) -> list[bytes]:
    """The lines of a log that holds these events."""
    end, lines = ChainEnd(), []
    for event in events:
        line, end = encode_record(end, encode_body(TIME, event))
        lines.append(line)
    return lines
