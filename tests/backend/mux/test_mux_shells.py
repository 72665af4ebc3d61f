"""What a backend's author may rely on when the proxy speaks `mux`, whatever event loop his program runs on."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trio

from sottovoce.backend import Audio, Call, CallOver, CannotListen, Dtmf, Ended, serve
from sottovoce.backend.serving import Serving
from sottovoce.primitives import ApiMisuse
from tests.backend.mux.proxies import GREETING, Peer, credit, frame, opening, stopping
from tests.backend.peers import echo
from tests.backend.servers import Server, serving
from tests.backend.test_conformance import pem_files
from tests.transport.certificates import Authority


@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_calls_on_one_connection(server: Server, where: str, tmp_path: Path) -> None:
    host = "127.0.0.1" if where == "tcp" else f"unix:{tmp_path}/bot.sock"
    with serving(server, echo, host=host, adapter="mux"), Peer(server) as peer:
        assert server.url.startswith(f"{where}:")
        for number in (1, 2):
            peer.call(number)
        peer.say(frame("audio", 2, b"\0two"), frame("audio", 1, b"\0one"), frame("dtmf", 1, b"\5\0\xa0"))
        assert peer.until("audio", 1)[2] == b"\0one"
        assert peer.until("dtmf", 1)[2] == b"\5\0\xa0"
        peer.say(stopping(1), frame("audio", 2, b"\0more"))
        assert peer.until("audio", 2)[2] in {b"\0two", b"\0more"}
        peer.say(stopping(2))
    assert not (tmp_path / "bot.sock").exists()


def test_ends_of_every_kind(server: Server, logged: pytest.LogCaptureFixture) -> None:
    async def bot(call: Call) -> None:
        async for item in call:
            match item:
                case Dtmf(1):
                    await call.hang_up("done")
                case Dtmf(2):
                    return
                case Dtmf(3):
                    raise ValueError("a fault in a handler")
                case Ended(truncated=truncated):
                    server.told.put(truncated)
                case _:
                    pass

    with serving(server, bot, adapter="mux"), Peer(server) as peer:
        for number in range(1, 6):
            peer.call(number)
        for number in range(1, 6):
            peer.say(frame("dtmf", number, bytes([number, 0, 1])))
        assert {peer.hear()[:2] for _ in range(3)} == {("stop", 1), ("stop", 2), ("error", 3)}
        peer.say(stopping(1))
        assert server.hear() is False
        peer.say(stopping(2), stopping(3), frame("error", 4))
        assert server.hear() is True
        peer.socket.close()
        assert server.hear() is True
    assert "raised ValueError" in logged.text


def test_a_handler_that_does_not_take_holds_up_no_other(server: Server) -> None:
    async def bot(call: Call) -> None:
        if call.start.session_id:
            async for item in call:
                match item:
                    case Dtmf():
                        await server.pause(60)
                    case Audio():
                        await call.send(item)
                    case _:
                        pass

    with serving(server, bot, adapter="mux"), Peer(server) as peer:
        for number in (1, 2):
            peer.call(number)
        peer.say(frame("dtmf", 1, b"\5\0\xa0"), frame("audio", 1, b"\0x") * 249)
        for number in range(100):
            peer.say(frame("audio", 2, bytes([0, number])))
            assert peer.hear() == ("audio", 2, bytes([0, number]))
        peer.say(stopping(1), stopping(2))


def test_who_sends_waits_for_credit_and_hears_of_the_end(server: Server) -> None:
    async def bot(call: Call) -> None:
        try:
            for number in range(10):
                await call.send(bytes([number]))
                server.told.put(number)
        except CallOver:
            server.told.put("over")

    with serving(server, bot, adapter="mux"), Peer(server) as peer:
        peer.call(1, granted=1)
        assert server.hear() == 0
        peer.say(credit(1, 3))
        assert [server.hear() for _ in range(3)] == [1, 2, 3]
        assert server.told.empty()
        peer.say(stopping(1))
        assert server.hear() == "over"


def test_who_hangs_up_needs_no_credit(server: Server) -> None:
    async def bot(call: Call) -> None:
        await call.hang_up()

    with serving(server, bot, adapter="mux"), Peer(server) as peer:
        peer.call(1, granted=1)
        peer.until("stop", 1)
        peer.say(opening(2))  # without any
        peer.until("stop", 2)


def test_calls_of_all_connections_are_counted(server: Server) -> None:
    with serving(server, echo, adapter="mux", max_calls=2), Peer(server) as first, Peer(server) as second:
        first.call(1)
        second.call(1)
        second.say(opening(2))
        second.until("refused", 2)
        first.say(stopping(1), frame("ping", 0, bytes(8)))
        first.until("pong", 0)
        second.say(opening(3))
        second.until("opened", 3)


def test_who_is_no_proxy_is_closed(server: Server, logged: pytest.LogCaptureFixture) -> None:
    with serving(server, echo, adapter="mux"):
        assert server.knock(b"GET / HTTP/1.1\r\n\r\n").startswith(GREETING)
        with Peer(server) as peer:
            peer.call(1)
            peer.say(frame("clear", 1))
            assert peer.is_ended()
    assert "it does not speak mux" in logged.text
    assert "a frame of type 0x14 in call 1" in logged.text


def test_pings_whose_answers_nobody_reads_are_read_no_further(server: Server) -> None:
    with serving(server, echo, adapter="mux"), Peer(server) as peer:
        peer.socket.settimeout(1)
        flood = frame("ping", 0, bytes(8)) * 2_000_000  # 30 MB
        with pytest.raises(TimeoutError):
            peer.socket.sendall(flood)
        with Peer(server) as other:
            other.call(1)


def test_a_server_that_ends_cancels_all_handlers(server: Server) -> None:
    async def bot(call: Call) -> None:
        server.told.put("there")
        try:
            async for _ in call:
                pass
        finally:
            server.told.put("gone")

    with serving(server, bot, adapter="mux"), Peer(server) as peer:
        for number in (1, 2):
            peer.call(number)
            assert server.hear() == "there"
        server.stop()
        assert [server.hear() for _ in range(2)] == ["gone"] * 2
        assert peer.is_ended()


def test_over_tls(server: Server, tmp_path: Path) -> None:
    ca = Authority("ca")
    certificate, key = pem_files(ca.issue("localhost"), tmp_path)
    with serving(server, echo, adapter="mux", certificate_file=certificate, key_file=key):
        assert server.url.startswith("tls://")
        context = ssl.create_default_context(cadata=ca.pem.decode())
        with (
            socket.create_connection(server.address) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as peer,
        ):
            peer.sendall(GREETING + opening(1) + credit(1, 5) + frame("audio", 1, b"\0abc"))
            heard = b""
            while not heard.endswith(frame("audio", 1, b"\0abc")):
                heard += peer.recv(65_536)
            assert heard.startswith(GREETING)


def test_a_socket_in_the_file_system(tmp_path: Path) -> None:
    """One that was left is replaced, nothing else is."""

    async def nobody(call: Call) -> None:
        """Hold no call."""

    path = tmp_path / "bot.sock"
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))
    for run in (asyncio.run, lambda main: trio.run(lambda: main)):
        file = tmp_path / "file"
        file.write_text("something else")
        with pytest.raises(CannotListen, match=r"unix:.*/file cannot be listened on"):
            run(serve(nobody, f"unix:{file}", adapter="mux"))
        assert file.exists()

    async def serves_once() -> None:
        ready = asyncio.Event()
        task = asyncio.create_task(serve(nobody, f"unix:{path}", adapter="mux", ready=lambda _: ready.set()))
        await ready.wait()
        with pytest.raises(CannotListen, match="already in use"):
            await serve(nobody, f"unix:{path}", adapter="mux")
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(serves_once())
    assert not path.exists()


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ApiMisuse, match="adapter: there is no 'twilio'"):
        Serving("127.0.0.1", 0, {"adapter": "twilio"})  # type: ignore[typeddict-item]
    with pytest.raises(CannotListen, match='give adapter="mux"'):
        Serving("unix:/run/bot.sock", 0, {})
