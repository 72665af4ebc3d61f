import msgspec
import pytest

from sottovoce.admin import Readiness
from tests.admin.listening import HEALTHY, HSM_DOWN, ask, everything, listening, say


async def test_healthz_says_ok() -> None:
    async with listening() as admin:
        found = await ask(admin, "/healthz")
        assert (found.status, found.body) == (200, b"ok\n")
        assert found.headers["cache-control"] == "no-store"
        assert "server" not in found.headers


async def test_metrics_are_what_the_exposition_gives_for_what_is_accepted() -> None:
    async with listening() as admin:
        found = await ask(admin, "/metrics", more="Accept: application/openmetrics-text; version=1.0.0\r\n")
        assert (found.status, found.body) == (200, b"sottovoce_calls 0\n")
        assert found.headers["content-type"] == "text/plain; version=0.0.4"
        assert admin.standing.accepted == ["application/openmetrics-text; version=1.0.0"]


async def test_readyz_is_200_or_503_with_the_reasons() -> None:
    async with listening() as admin:
        found = await ask(admin, "/readyz")
        assert (found.status, found.json) == (200, {"schema": "sottovoce.ready.1", "ready": True, "reasons": []})
        red = Readiness(ready=False, reasons=("draining",))
        admin.standing.told = msgspec.structs.replace(HEALTHY, readiness=red)
        found = await ask(admin, "/readyz")
        assert (found.status, found.json["reasons"]) == (503, ["draining"])


async def test_status_is_one_json_object_of_the_schema() -> None:
    async with listening(msgspec.structs.replace(HEALTHY, concerns=(HSM_DOWN,))) as admin:
        found = await ask(admin, "/status")
        assert (found.status, found.headers["content-type"]) == (200, "application/json")
        assert found.json["schema"] == "sottovoce.status.1"
        assert [concern["cause"] for concern in found.json["concerns"]] == ["hsm"]


async def test_head_is_answered_without_a_body() -> None:
    async with listening() as admin:
        found = await ask(admin, "/status", method="HEAD")
        assert (found.status, found.body) == (200, b"")
        assert int(found.headers["content-length"]) > 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_else_is_taken(method: str) -> None:
    async with listening() as admin:
        found = await ask(admin, "/status", method=method, more="Content-Length: 2\r\n")
        assert found.status == 405
        assert set(found.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_another_path_names_those_there_are() -> None:
    async with listening() as admin:
        found = await ask(admin, "/")
        assert found.status == 404
        assert b"/readyz" in found.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9443", "127.0.0.1", "127.0.0.1:1", "[::1]:9443", "[::1]"])
async def test_an_address_may_be_asked_for(host: str) -> None:
    async with listening() as admin:
        assert (await ask(admin, "/healthz", host=host)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9443", "", "::1", "[127.0.0.1]", "a:b"]
)
async def test_a_name_may_not(host: str) -> None:
    async with listening() as admin:
        found = await ask(admin, "/status", host=host)
        assert found.status == 421
        assert b"state" not in found.body


async def test_without_a_host_header_nothing_is_told() -> None:
    async with listening() as admin:
        assert (await say(admin, b"GET /status HTTP/1.0\r\n\r\n")).status == 400
        assert (await say(admin, b"GET /status HTTP/1.1\r\n\r\n")).status == 400
        twice = b"GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        assert (await say(admin, twice)).status == 400


async def test_neither_http_2_nor_a_websocket_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.admin.web.server.CONNECTION_SECONDS", 0.3)
    async with listening() as admin:
        upgrade = (
            b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert (await say(admin, upgrade)).status == 403
        async with await admin.connect() as stream:
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"") + _get_status())
            heard = await everything(stream)
        assert b"healthy" not in heard
    assert admin.crashes == []


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _get_status() -> bytes:
    """A HEADERS frame (RFC 9113 §6.2): GET, http, and two literals (RFC 7541 §6.2.2)."""
    path, authority = b"/status", b"localhost"
    literals = b"\x04" + bytes([len(path)]) + path + b"\x01" + bytes([len(authority)]) + authority
    return _frame(1, 0x05, 1, b"\x82\x86" + literals)


async def test_a_bug_in_an_answer_ends_that_answer_and_is_told() -> None:
    async with listening() as admin:
        admin.standing.error = RuntimeError("planted")
        found = await ask(admin, "/status")
        assert found.status == 500
        assert b"planted" not in found.body
        admin.standing.error = None
        assert (await ask(admin, "/status")).status == 200
        assert [type(each) for each in admin.crashes] == [RuntimeError]
