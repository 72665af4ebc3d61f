"""`Clients`: the judge of clients' credentials, for all kinds.  A session.CredentialCheck.

`check` answers at once where a look-up is enough, and refuses at once what cannot be good; a signature is left to
`judge`, in a thread.  Both ask the contents of the moment, and so does `still_holds`: whoever is taken out of a file is
refused, and loses his calls when the proxy asks again.
"""

from collections.abc import Callable

from sottovoce.identity.clients.config import ClientsConfig
from sottovoce.identity.clients.contents import ClientsContents, read_contents
from sottovoce.identity.clients.grants import Grant, is_name
from sottovoce.identity.clients.jwt import looks_like_jwt
from sottovoce.pki import CertifiedClient
from sottovoce.primitives import Entropy
from sottovoce.session import Identity, ShownCredential
from sottovoce.wire import Code, CredentialKind

_NOBODY = Identity("")


class Clients:
    """Who may call, now; `replace` makes it somebody else in one step."""

    def __init__(self, contents: ClientsContents, wall: Callable[[], float]) -> None:
        """Take the first contents, and the clock that says what has expired (Unix seconds)."""
        self._contents = contents
        self._wall = wall
        self._asked_at = wall()

    def replace(self, contents: ClientsContents) -> None:
        """Go by other contents from now on.  Running calls are asked about with `still_holds`."""
        self._contents = contents

    @property
    def contents(self) -> ClientsContents:
        """The contents of the moment."""
        return self._contents

    @property
    def kinds(self) -> tuple[int, ...]:
        """The kinds of credential that may be offered, for ServerParams; they change with the contents.

        Where a credential is demanded and none is known, a token is asked for, and no token is good.
        """
        now = self._contents
        offered = {
            CredentialKind.NONE: not now.require_credential,
            CredentialKind.BEARER_TOKEN: now.tokens or now.jwts is not None,
            CredentialKind.SIGNING_KEY: now.keys,
            CredentialKind.OUTER_CERTIFICATE: now.cas is not None,
        }
        return tuple(kind for kind, there in offered.items() if there) or (CredentialKind.BEARER_TOKEN,)

    def has_lapsed(self) -> bool:
        """Whether an entry of the file has come to its end since this was last asked.

        A call knows the end that stood there when it began; this tells of one that was written later.
        """
        before, self._asked_at = self._asked_at, self._wall()
        return self._contents.ends_between(before, self._asked_at)

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        """Give the verdict on tokens of the file and on nothing at all; refuse the hopeless; None for the rest."""
        now = self._contents
        match shown.kind:
            case CredentialKind.NONE:
                return Code.AUTH_FAILED if now.require_credential else _NOBODY
            case CredentialKind.BEARER_TOKEN:
                return self._check_token(now, shown)
            case CredentialKind.SIGNING_KEY if shown.possession is not None:
                grant = now.key_grant(shown.possession.key.encoded)
                return None if grant is not None and self._may_be_good(now, grant, shown) else Code.AUTH_FAILED
            case CredentialKind.OUTER_CERTIFICATE if shown.certificate is not None and now.cas is not None:
                return None
            case _:
                return Code.AUTH_FAILED

    def judge(self, shown: ShownCredential) -> Identity | Code:
        """Give the verdict, signatures verified."""
        verdict = self.check(shown)
        if verdict is not None:  # the contents may have changed meanwhile
            return verdict
        now = self._contents
        grant = self._proven(now, shown)
        return Code.AUTH_FAILED if grant is None else self._verdict(now, grant, shown.authority, shown.path)

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        """Whether an identity given out earlier would be given out again there, as far as that is known at once."""
        now, wall = self._contents, self._wall()
        if self._is_withdrawn(now, identity) or (identity.expires_at is not None and wall >= identity.expires_at):
            return False
        if identity.kind == CredentialKind.NONE:
            return not now.require_credential
        prefix, _, rest = identity.credential.partition(":")
        match prefix:
            case "jwt":
                return now.jwts is not None and now.jwts.still_vouches(rest)
            case "certificate":
                return now.cas is not None and now.cas.still_vouches(rest)
            case _:
                grant = now.grant_of(identity.credential)
        if grant is None or grant.identity.name != identity.name:
            return False
        return isinstance(grant.verdict(authority.lower(), path, wall), Identity)

    def _check_token(self, now: ClientsContents, shown: ShownCredential) -> Identity | Code | None:
        grant = now.token_grant(shown.value)
        if grant is not None:
            return self._verdict(now, grant, shown.authority, shown.path)
        if now.jwts is not None and looks_like_jwt(shown.value):
            authority = shown.authority.lower()
            if now.jwts.may_be_good_untrusted(shown.value, authority, self._wall()):
                return None
        return Code.AUTH_FAILED

    def _may_be_good(self, now: ClientsContents, grant: Grant, shown: ShownCredential) -> bool:
        """Whether all but the route is right.  Whose the route is, only somebody who proved himself is told."""
        return (
            grant.is_for(shown.authority.lower())
            and not grant.is_over(self._wall())
            and not self._is_withdrawn(now, grant.identity)
        )

    def _proven(self, now: ClientsContents, shown: ShownCredential) -> Grant | None:
        """Verify what `check` put off; give what it grants."""
        authority, wall = shown.authority.lower(), self._wall()
        match shown.kind:
            case CredentialKind.BEARER_TOKEN if now.jwts is not None:
                return now.jwts.judge_untrusted(bytes(shown.value), authority, wall)
            case CredentialKind.SIGNING_KEY if shown.possession is not None:
                grant = now.key_grant(shown.possession.key.encoded)
                return grant if grant is not None and shown.possession.holds() else None
            case CredentialKind.OUTER_CERTIFICATE if shown.certificate is not None and now.cas is not None:
                client = now.cas.judge_untrusted(shown.certificate, wall)
                return None if client is None else _certificate_grant(client)
            case _:
                return None

    def _verdict(self, now: ClientsContents, grant: Grant, authority: bytes, path: bytes) -> Identity | Code:
        if self._is_withdrawn(now, grant.identity):
            return Code.AUTH_FAILED
        return grant.verdict(authority.lower(), path, self._wall())

    def _is_withdrawn(self, now: ClientsContents, identity: Identity) -> bool:
        """Look for the name, for the credential, and for a JWT's id or a certificate's number whoever signed it."""
        credential = identity.credential
        return any(each in now.withdrawn for each in (identity.name, credential, credential.rpartition("@")[0]))


def _certificate_grant(client: CertifiedClient) -> Grant | None:
    """Give what a certificate grants: a name, everywhere."""
    if not is_name(client.name):
        return None
    credential = f"certificate:{client.certificate_id}"
    return Grant(Identity(client.name, client.expires_at, CredentialKind.OUTER_CERTIFICATE, credential), None, None)


def read_clients(config: ClientsConfig, wall: Callable[[], float], entropy: Entropy) -> Clients:
    """Read the files of the configuration.  Raises ClientsUnusable."""
    return Clients(read_contents(config, wall, entropy), wall)
