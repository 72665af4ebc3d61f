"""What a call has carried, in plain numbers, and who is told what becomes of calls.

Frames are counted by the call itself and added up when somebody asks (`metrics/frames`): no frame touches an object of
metrics.  What happens once a call, or less often, is told to a `CallCounting`.
"""

from typing import Protocol, Self

import msgspec


class CallCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of one call, or of many together; each number only grows.  Audio, or data in a data session."""

    from_client: int = 0
    """Opened."""
    lost_from_client: int = 0
    """Sent by the client and lost on the way, on a carriage that loses."""
    to_backend: int = 0
    """Written to the backend."""
    to_backend_dropped: int = 0
    """Dropped, oldest first, because the backend did not read."""
    from_backend_ahead: int = 0
    """Dropped as they came, because the backend was too far ahead of real time."""
    to_client: int = 0
    """Sealed."""
    to_client_dropped: int = 0
    """Dropped, oldest first, because the client did not take them."""
    to_client_oversize: int = 0
    """Dropped because they did not fit the one size of padding class 2."""
    generations: int = 0
    """Keys that frames to the client were sealed under."""

    def __add__(self, other: Self) -> Self:
        """Give both together."""
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class CallCounting(Protocol):
    """Is told of calls, and of what did not become one.  Every method is synchronous, quick, and never raises."""

    def tls_refused(self, reason: str) -> None:
        """A TLS handshake failed; `reason` is a TlsReason."""
        ...

    def upgrade_refused(self, status: int | None) -> None:
        """A request was answered with an HTTP status, or with nothing."""
        ...

    def connection_refused(self, reason: str) -> None:
        """A connection was closed unread, or its handshake cut off; `reason` begins with the limit's name."""
        ...

    def session_refused(self, code: int) -> None:
        """A voice handshake failed."""
        ...

    def session_established(self, route: str, tls_group: str, suite: str, *, is_resumed: bool) -> None:
        """A voice session begins."""
        ...

    def handshake_took(self, seconds: float) -> None:
        """So long after the connection came the voice session was agreed on."""
        ...

    def session_rekeyed(self, *, reauthenticated: bool) -> None:
        """A session runs under fresh keys."""
        ...

    def session_ended(self, code: int, side: str, *, is_truncated: bool) -> None:
        """A voice session is over."""
        ...

    def signature_late(self) -> None:
        """The HSM gave no signature in time for somebody."""
        ...

    def backend_lost(self, route: str, reason: str) -> None:
        """A backend could not be reached, or went away; `reason` begins with a BackendFault."""
        ...

    def backend_silent(self, route: str) -> None:
        """A backend is connected and says nothing."""
        ...

    def connection_crashed(self) -> None:
        """A bug of ours ended a connection."""
        ...


class KeyCounting(Protocol):
    """Is told what becomes of keys, tokens and certificates.  Every method is synchronous, quick, and never raises."""

    def token_started(self, node: str) -> None:
        """A node's token process has proved itself."""
        ...

    def token_lost(self, node: str) -> None:
        """A node's token process is gone, or a replacement did not start."""
        ...

    def certificate_renewed(self, kind: str, *, succeeded: bool) -> None:
        """A certificate was issued, or could not be."""
        ...

    def ticket_key(self, outcome: str) -> None:
        """A ticket key was `replaced` or `erased`, or a new one `failed` to come."""
        ...

    def root_signed(self, kind: str, leaves: int) -> None:
        """A root over so many leaves was signed."""
        ...

    def root_failed(self, kind: str) -> None:
        """A root got no signature."""
        ...


class Uncounted:
    """Counts nothing: a CallCounting and KeyCounting for whoever has no metrics."""

    def tls_refused(self, reason: str) -> None:
        """Not counted."""

    def upgrade_refused(self, status: int | None) -> None:
        """Not counted."""

    def connection_refused(self, reason: str) -> None:
        """Not counted."""

    def session_refused(self, code: int) -> None:
        """Not counted."""

    def session_established(self, route: str, tls_group: str, suite: str, *, is_resumed: bool) -> None:
        """Not counted."""

    def handshake_took(self, seconds: float) -> None:
        """Not counted."""

    def session_rekeyed(self, *, reauthenticated: bool) -> None:
        """Not counted."""

    def session_ended(self, code: int, side: str, *, is_truncated: bool) -> None:
        """Not counted."""

    def signature_late(self) -> None:
        """Not counted."""

    def backend_lost(self, route: str, reason: str) -> None:
        """Not counted."""

    def backend_silent(self, route: str) -> None:
        """Not counted."""

    def connection_crashed(self) -> None:
        """Not counted."""

    def token_started(self, node: str) -> None:
        """Not counted."""

    def token_lost(self, node: str) -> None:
        """Not counted."""

    def certificate_renewed(self, kind: str, *, succeeded: bool) -> None:
        """Not counted."""

    def ticket_key(self, outcome: str) -> None:
        """Not counted."""

    def root_signed(self, kind: str, leaves: int) -> None:
        """Not counted."""

    def root_failed(self, kind: str) -> None:
        """Not counted."""
