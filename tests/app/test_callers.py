"""Who may call a route, by the configuration of the moment."""

from pathlib import Path

from sottovoce.app.floor import Callers
from sottovoce.relay import RouteConfig
from sottovoce.session import Identity
from sottovoce.wire import Code
from tests.identity.clients.files import ECHO, HOST, read, token, token_entry
from tests.identity.clients.jwts import issue, write_key_set


def test_a_routes_list_counts_as_it_is_now(tmp_path: Path) -> None:
    routes = {"echo": RouteConfig(adapter="echo")}
    callers = Callers(read(tmp_path, token_entry(), jwks_file=write_key_set(tmp_path)), lambda: routes)
    jwt = token(issue(), path=ECHO + b"?x")
    identities = (callers.check(token(b"good")), callers.judge(jwt))
    assert callers.check(jwt) is None
    for names, good in ((("open",), (True, False)), (("kiosk-*",), (False, True)), ((), (True, True))):
        routes["echo"] = RouteConfig(adapter="echo", identities=names)
        for identity, value, is_good in zip(identities, (token(b"good"), jwt), good, strict=True):
            assert isinstance(identity, Identity)
            assert callers.still_holds(identity, HOST, ECHO) is is_good
            assert callers.judge(value) == (identity if is_good else Code.POLICY)
    assert callers.check(token(b"bad")) is Code.AUTH_FAILED
    routes["echo"] = RouteConfig(adapter="echo", identities=("nobody",))
    assert callers.check(token(b"good")) is Code.POLICY
    del routes["echo"]
    assert all(isinstance(each, Identity) and callers.still_holds(each, HOST, ECHO) for each in identities)
