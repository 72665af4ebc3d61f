"""Whoever asks in a way that is not meant: he gets little, is not kept, and keeps nobody."""

import logging

import pytest
import trio

from sottovoce.admin.web import server
from tests.admin.listening import ask, everything, listening, take_apart

QUESTION = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
MORE_THAN_BUFFERS_HOLD = 64 << 20


async def test_each_connection_carries_one_answer() -> None:
    async with listening() as admin, await admin.connect() as stream:
        await stream.send_all(QUESTION)
        assert take_apart(await everything(stream)).headers["connection"] == "close"


async def test_who_asks_again_before_the_answer_gets_no_second_one() -> None:
    async with listening() as admin:
        for _ in range(20):
            async with await admin.connect() as stream:
                await stream.send_all(QUESTION * 5)
                assert (await everything(stream)).count(b"HTTP/1.1 200") <= 1
        assert (await ask(admin, "/healthz")).status == 200
    assert admin.crashes == []


async def test_who_sends_slowly_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.2)
    async with listening() as admin, await admin.connect() as stream:
        await stream.send_all(b"GET /healthz HTT")
        assert await everything(stream) == b""
    assert admin.crashes == []


async def test_who_promises_a_body_and_sends_none_is_answered_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 1)
    async with listening() as admin, await admin.connect() as stream:
        await stream.send_all(QUESTION.replace(b"\r\n\r\n", b"\r\nContent-Length: 100000\r\n\r\n"))
        assert take_apart(await everything(stream)).status == 200


async def test_who_sends_a_body_without_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.3)
    async with listening() as admin, await admin.connect() as stream:
        await stream.send_all(QUESTION.replace(b"\r\n\r\n", b"\r\nContent-Length: 100000000\r\n\r\n"))
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(bytes(MORE_THAN_BUFFERS_HOLD))
    assert admin.crashes == []


async def test_who_does_not_read_his_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.3)
    async with listening() as admin, await admin.connect() as stream:
        admin.standing.metrics = bytes(MORE_THAN_BUFFERS_HOLD)
        await stream.send_all(QUESTION)
        await trio.sleep(0.5)
        assert len(await everything(stream)) < MORE_THAN_BUFFERS_HOLD
        monkeypatch.undo()
        assert (await ask(admin, "/healthz")).status == 200
    assert admin.crashes == []


async def test_who_does_not_read_does_not_keep_the_listener_from_ending() -> None:
    async with listening() as admin, await admin.connect() as stream:
        admin.standing.metrics = bytes(MORE_THAN_BUFFERS_HOLD)
        await stream.send_all(QUESTION)
        await trio.sleep(0.1)
        began = trio.current_time()
        admin.scope.cancel()
        await trio.lowlevel.checkpoint()
    assert trio.current_time() - began < server.CONNECTION_SECONDS / 2


async def test_there_is_a_bound_on_connections_and_it_is_free_again() -> None:
    async with listening() as admin:
        idle = [await admin.connect() for _ in range(server.MAX_CONNECTIONS)]
        for stream in idle:
            await stream.send_all(b"GET /heal")
        async with await admin.connect() as stream:
            assert await everything(stream) == b""
        for stream in idle:
            await stream.send_all(b"thz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert take_apart(await everything(stream)).status == 200
            await stream.aclose()
        assert (await ask(admin, "/healthz")).status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\r\n" * 5_000,
        b"GET /" + b"a" * 20_000,
        b"GET /%ff%00%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost: local\xffhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(200),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: ????\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_garbage_costs_its_sender_the_connection_and_nobody_else_anything(
    garbage: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.5)
    caplog.set_level(logging.INFO)  # below that, HTTP/2's header coding says what it does
    async with listening() as admin:
        async with await admin.connect() as stream:
            await stream.send_all(garbage)
            heard = await everything(stream)
            assert b"sottovoce.status" not in heard
        assert (await ask(admin, "/healthz")).status == 200
    assert caplog.records == []
