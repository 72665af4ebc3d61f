"""Who may call, and where, as the configuration is now: clients' credentials, and each route's list of identities.

It stands before the judge of credentials, so that a session of somebody else is never agreed on, nor resumed by a
ticket; and it changes with a reload, so that whoever is taken off a route's list loses his call there, and gets none
that was just being agreed on.
"""

from collections.abc import Callable, Mapping

from sottovoce.identity import Clients, route_of
from sottovoce.relay import RouteConfig
from sottovoce.session import Identity, ShownCredential
from sottovoce.wire import Code


class Callers:
    """A session.CredentialCheck."""

    def __init__(self, clients: Clients, routes: Callable[[], Mapping[str, RouteConfig]]) -> None:
        """`routes` gives the configured routes of the moment."""
        self._clients = clients
        self._routes = routes

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        """Give the verdict, or None where it takes long."""
        verdict = self._clients.check(shown)
        return verdict if self._is_for(verdict, shown.path) else Code.POLICY

    def judge(self, shown: ShownCredential) -> Identity | Code:
        """Give the verdict that `check` put off."""
        verdict = self._clients.judge(shown)
        return verdict if self._is_for(verdict, shown.path) else Code.POLICY

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        """Whether an identity may still call there."""
        return self._is_for(identity, path) and self._clients.still_holds(identity, authority, path)

    def _is_for(self, verdict: Identity | Code | None, path: bytes) -> bool:
        """Whether the route is for whom the verdict names; a route that is there no longer has no list."""
        config = self._routes().get(route_of(path).decode("latin-1"))
        return config is None or not isinstance(verdict, Identity) or config.is_for(verdict.name)
