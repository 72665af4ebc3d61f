"""What falls due in a call besides the session's own: a sign of life of the client's, the backend's first word.

Pure: it says when to look, and what is to be done then.
"""

from sottovoce.session import Beat, Heartbeat

SILENCE_SECONDS = 5.0
"""A backend that is spoken to and says nothing for so long is silent: its route may be misconfigured."""
RETRY_SECONDS = 0.05
"""After the session's own limit of control frames has held one back."""
_NEVER = float("inf")


class Vigil:
    """One call's."""

    __slots__ = ("_heartbeat", "_is_talking", "_retry_at", "_silent_at")

    def __init__(self, heartbeat: Heartbeat) -> None:
        """Look for nobody yet; `heartbeat` is told by others when the client was heard."""
        self._heartbeat = heartbeat
        self._is_talking = False
        self._retry_at = _NEVER
        self._silent_at = _NEVER

    def begin(self, now: float) -> None:
        """The backend is connected; while that took its time nothing of the client was read."""
        self._is_talking = True
        self._heartbeat.heard_at = now
        self.wait_for_backend(now)

    def wait_for_backend(self, now: float) -> None:
        """Give the backend its time from now on."""
        self._silent_at = now + SILENCE_SECONDS

    def end(self) -> None:
        """The conversation is over."""
        self._is_talking = False
        self._silent_at = _NEVER

    def heard_backend(self) -> None:
        """The backend has said its first word."""
        self._silent_at = _NEVER

    def retry(self, now: float) -> None:
        """Look again in a moment: something could not be sent yet."""
        self._retry_at = now + RETRY_SECONDS

    @property
    def next_at(self) -> float:
        """When to look."""
        beat_at = self._heartbeat.next_at if self._is_talking else _NEVER
        return min(beat_at, self._retry_at, self._silent_at)

    def beat(self, now: float) -> Beat:
        """Say what is to be done about the client; a retry that was due is taken to be made now."""
        if now >= self._retry_at:
            self._retry_at = _NEVER
        return self._heartbeat.beat(now) if self._is_talking else Beat.NOTHING

    def put_off(self, now: float) -> None:
        """The client could not be asked."""
        self._heartbeat.put_off(now)

    def has_fallen_silent(self, now: float) -> bool:
        """Whether the backend has just been silent for too long; true once."""
        if now < self._silent_at:
            return False
        self._silent_at = _NEVER
        return True
