import pytest

from sottovoce.edge.gate import narrowed
from sottovoce.edge.gate.identities import RouteCredentials, may_call
from sottovoce.session import Identity, ServerDependencies, ShownCredential
from sottovoce.wire import Code
from tests.session.dialogue import Credentials

SHOWN = ShownCredential(0, b"", b"localhost", b"/v1/voice/echo")


@pytest.mark.parametrize(
    ("name", "identities", "may"),
    [
        ("alice", (), True),
        ("", (), True),
        ("alice", ("alice",), True),
        ("alice", ("bob", "alice"), True),
        ("Alice", ("alice",), False),
        ("alice2", ("alice",), False),
        ("", ("alice",), False),
        ("", ("*",), False),
        ("anybody", ("*",), True),
        ("kiosk-7", ("kiosk-*",), True),
        ("kiosk-", ("kiosk-*",), True),
        ("my-kiosk-7", ("kiosk-*",), False),
        ("a@example.com", ("*@example.com",), True),
        ("a@example.com.org", ("*@example.com",), False),
    ],
)
def test_whom_a_route_is_for(name: str, identities: tuple[str, ...], *, may: bool) -> None:
    assert may_call(name, identities) is may


@pytest.mark.protocol("P10.3", "P4.20")
def test_a_good_credential_of_somebody_else_is_policy() -> None:
    inner = Credentials(Identity("bob"))
    credentials = RouteCredentials(inner, ("alice",))
    assert credentials.check(SHOWN) is Code.POLICY
    assert credentials.judge(SHOWN) is Code.POLICY
    assert not credentials.still_holds(Identity("bob"), b"localhost", b"/")
    inner.verdict = Identity("alice")
    assert credentials.check(SHOWN) == credentials.judge(SHOWN) == Identity("alice")
    assert credentials.still_holds(Identity("alice"), b"localhost", b"/")


def test_a_bad_credential_stays_one_and_a_late_verdict_late() -> None:
    inner = Credentials(Code.AUTH_FAILED)
    credentials = RouteCredentials(inner, ("alice",))
    assert credentials.check(SHOWN) is credentials.judge(SHOWN) is Code.AUTH_FAILED
    inner.verdict = None
    assert credentials.check(SHOWN) is None
    inner.withdrawn = {"alice"}
    assert not credentials.still_holds(Identity("alice"), b"localhost", b"/")


def test_a_route_for_everybody_asks_no_more_than_the_judge() -> None:
    parts = ServerDependencies(None, None, None, Credentials())  # type: ignore[arg-type]  # not looked at
    assert narrowed(parts, ()) is parts
    assert isinstance(narrowed(parts, ("alice",)).credentials, RouteCredentials)
