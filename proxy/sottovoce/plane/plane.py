"""The plane that is always there: every flow in Python, on the hub of the event loop (`transport/lines`)."""

from sottovoce.plane.flow import Flow
from sottovoce.plane.seam import Client, FlowUser
from sottovoce.session import ServerSession
from sottovoce.transport import Clock


class PortablePlane:
    """A `seam.Plane`."""

    def __init__(self, clock: Clock) -> None:
        """Flows know the time by `clock`, which has to be their sessions'."""
        self._clock = clock

    def add(self, client: Client, session: ServerSession, user: FlowUser) -> Flow:
        """See `Plane`."""
        return Flow(client, session, self._clock, user)
