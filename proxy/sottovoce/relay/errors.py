"""What can go wrong between the proxy and a backend, and whose fault it is.

A `BackendFault` is the reason code; the text beside it is one line for the operator's log.  Nothing of this reaches
the voice client, who is told `backend_down` (protocol §10) and no more.
"""

from enum import StrEnum

from sottovoce.primitives import SottovoceError


class BackendFault(StrEnum):
    """Why a backend counts as down."""

    UNREACHABLE = "unreachable"
    """No attempt to connect succeeded, or none in time."""
    REFUSED = "refused"
    """It answered, but did not take the call: without the WebSocket upgrade, or in a word of its contract."""
    CLOSED = "closed"
    """It closed the connection without saying that the call ends."""
    LOST = "lost"
    """The connection broke, or TCP got no answer for too long."""
    BAD_FRAMING = "bad_framing"
    """Its bytes are not those of its framing, WebSocket (RFC 6455) for most, or a message is above the limit."""
    BAD_TEXT = "bad_text"
    """A text message that the contract does not know."""
    BAD_AUDIO = "bad_audio"
    """A binary message that cannot be one frame of this call, or a text whose audio is none."""
    FLOOD = "flood"
    """More control messages than the protocol lets through, or more of anything than it was granted."""
    FAILED = "failed"
    """It said itself that it failed, in its dialect's message for that."""
    STUCK = "stuck"
    """It does not read: the queue of control messages, which are never dropped, is full."""


class BackendDown(SottovoceError):
    """The backend of this call cannot be reached, or no longer: the call ends with `backend_down`."""

    def __init__(self, fault: BackendFault, detail: str) -> None:
        """Keep the code apart from its one line of detail."""
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class BackendMisbehaved(BackendDown):
    """The backend sent what its contract forbids.  Raised by pure decoders; the leg turns it into an end."""


class RouteMisconfigured(SottovoceError):
    """A route's configuration cannot work.  The text names the path, the reason and the remedy."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        """`path` is the configuration key, as in `routes.support.url`."""
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.remedy = remedy
