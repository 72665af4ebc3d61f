"""Which identities may call a route: names, or `*` for the beginning or the end of one.  Pure.

Stands before the judge of credentials, so that a session of somebody else is never agreed on, nor resumed by a ticket.
"""

import msgspec

from sottovoce.session import CredentialCheck, Identity, ServerDependencies, ShownCredential
from sottovoce.wire import Code


def may_call(name: str, identities: tuple[str, ...]) -> bool:
    """Whether a route that is for `identities` is for this one; with none, it is for everybody, named or not."""
    return not identities or (bool(name) and any(_fits(name, each) for each in identities))


def narrowed(parts: ServerDependencies, identities: tuple[str, ...]) -> ServerDependencies:
    """Give what a session on a route for `identities` asks for."""
    if not identities:
        return parts
    return msgspec.structs.replace(parts, credentials=RouteCredentials(parts.credentials, identities))


class RouteCredentials:
    """A `CredentialCheck` that refuses, with `policy`, whom the route is not for."""

    def __init__(self, credentials: CredentialCheck, identities: tuple[str, ...]) -> None:
        """Ask `credentials`, and let `identities` through."""
        self._credentials = credentials
        self._identities = identities

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        """Give the verdict, or None where it takes long."""
        verdict = self._credentials.check(shown)
        return verdict if verdict is None else self._narrow(verdict)

    def judge(self, shown: ShownCredential) -> Identity | Code:
        """Give the verdict that `check` put off."""
        return self._narrow(self._credentials.judge(shown))

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        """Whether an identity may still call here."""
        return may_call(identity.name, self._identities) and self._credentials.still_holds(identity, authority, path)

    def _narrow(self, verdict: Identity | Code) -> Identity | Code:
        if isinstance(verdict, Identity) and not may_call(verdict.name, self._identities):
            return Code.POLICY
        return verdict


def _fits(name: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name == pattern
