import pytest

from sottovoce.edge import SUBPROTOCOL, Admitted, Refused, ServedRoute, admit
from sottovoce.relay import RouteConfig, build_route
from sottovoce.transport import UpgradeRequest

ROUTE = build_route("echo", RouteConfig(adapter="echo"))
ROUTES = {"echo": ServedRoute(ROUTE, ("https://app.example.com",))}


def request(
    target: bytes = b"/v1/voice/echo", *, origin: str | None = None, subprotocols: tuple[str, ...] = (SUBPROTOCOL,)
) -> UpgradeRequest:
    return UpgradeRequest(target=target, authority=b"localhost", origin=origin, subprotocols=subprotocols, headers=())


def status(verdict: Admitted | Refused) -> int | None:
    return verdict.status if isinstance(verdict, Refused) else None


@pytest.mark.protocol("P1.1")
@pytest.mark.parametrize("target", [b"/v1/voice/echo", b"/v1/voice/echo?x=1", b"/v1/voice/echo?"])
def test_a_call_is_admitted(target: bytes) -> None:
    assert admit(request(target), ROUTES) == Admitted(ROUTES["echo"])


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/v1/voice/",
        b"/v1/voice/other",
        b"/v1/voice/echo/",
        b"/v1/voice/echo/x",
        b"/v1/voice/%65cho",
        b"/V1/voice/echo",
        b"\xff",
    ],
)
def test_another_target_is_not_found(target: bytes) -> None:
    assert status(admit(request(target), ROUTES)) == 404


@pytest.mark.protocol("P1.2")
@pytest.mark.parametrize("offered", [(), ("sottovoce.v2",), ("SOTTOVOCE.V1",)])
def test_without_the_subprotocol_it_is_a_bad_request(offered: tuple[str, ...]) -> None:
    assert status(admit(request(subprotocols=offered), ROUTES)) == 400


@pytest.mark.protocol("P1.2")
def test_the_subprotocol_may_be_one_of_several() -> None:
    assert admit(request(subprotocols=("chat", SUBPROTOCOL)), ROUTES) == Admitted(ROUTES["echo"])


@pytest.mark.protocol("P1.9")
@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        (None, None),
        ("https://app.example.com", None),
        ("https://evil.example.com", 403),
        ("https://app.example.com:444", 403),
        ("http://app.example.com", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_the_routes_origins_may_call(origin: str | None, refused: int | None) -> None:
    assert status(admit(request(origin=origin), ROUTES)) == refused
