"""What a backend's author may rely on, whatever event loop his program runs on."""

import asyncio
import json
import ssl
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from sottovoce.backend import Audio, Call, CallOver, CannotListen, Data, Dtmf, Ended, MarkPlayed, ServeOptions
from sottovoce.primitives import ApiMisuse
from sottovoce.transport import TlsIdentity
from tests.backend.peers import KEY, START_TEXT, break_off, close_code, echo, is_echoing, stop
from tests.backend.proxies import DATA_START, START
from tests.backend.servers import WAIT_SECONDS, Server, serving
from tests.transport.certificates import Authority


def test_a_call_from_start_to_end(server: Server) -> None:
    async def bot(call: Call) -> None:
        server.told.put((call.start.session_id, call.end))
        async for item in call:
            server.told.put(item)
            match item:
                case Audio(payload=frame):
                    await call.send(frame)
                    await call.mark("said")
                    await call.json({"heard": len(frame)})
                case _:
                    pass
        server.told.put(call.end)

    with serving(server, bot), server.connect() as peer:
        for text in (START_TEXT, b"abc", KEY, '{"type":"mark","name":"said"}'):
            peer.send(text)
        assert [peer.recv(WAIT_SECONDS) for _ in range(3)] == [
            b"abc",
            '{"type":"mark","name":"said"}',
            '{"type":"json","value":{"heard":3}}',
        ]
        stop(peer)
        assert server.hear() == (START["session_id"], None)
        assert [server.hear() for _ in range(3)] == [Audio(b"abc"), Dtmf(5, 160), MarkPlayed("said")]
        ended = server.hear()
        assert isinstance(ended, Ended)
        assert (ended.code, ended.truncated) == (1000, False)
        assert server.hear() == ended


def test_a_call_without_audio(server: Server) -> None:
    async def bot(call: Call) -> None:
        async for item in call:
            match item:
                case Data(b"\1" as payload):
                    await call.send(payload)
                case Data():
                    await call.send(item)
                case _:
                    pass

    with serving(server, bot), server.connect() as peer:
        peer.send(json.dumps(DATA_START))
        for data in (b"\1", b"\1\2"):
            peer.send(data)
            assert peer.recv(WAIT_SECONDS) == data
        stop(peer)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_end_without_stop_is_truncated(server: Server, how: str) -> None:
    async def bot(call: Call) -> None:
        server.told.put([item async for item in call])

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        if how == "reset":
            break_off(peer)
        peer.close()
        (ended,) = server.hear()
        assert ended.truncated
        assert ended.statistics is None


def test_hanging_up(server: Server, logged: pytest.LogCaptureFixture) -> None:
    async def bot(call: Call) -> None:
        await call.send(b"bye")
        await call.hang_up("done")
        server.told.put([item async for item in call][-1])

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        assert peer.recv(WAIT_SECONDS) == b"bye"
        assert peer.recv(WAIT_SECONDS) == '{"type":"stop","reason":"done"}'
        stop(peer)
        assert not server.hear().truncated
    assert not logged.records


def test_a_handler_that_returns_has_hung_up(server: Server) -> None:
    async def bot(call: Call) -> None:
        await call.send(b"bye")

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        assert [peer.recv(WAIT_SECONDS) for _ in range(2)] == [b"bye", '{"type":"stop"}']
        stop(peer)


def test_a_handler_that_raises_ends_its_call_and_no_other(server: Server, logged: pytest.LogCaptureFixture) -> None:
    async def bot(call: Call) -> None:
        async for item in call:
            match item:
                case Dtmf():
                    raise ValueError("a fault in a handler")
                case Audio():
                    await call.send(item)
                case _:
                    pass

    with serving(server, bot), server.connect() as other, server.connect() as peer:
        other.send(START_TEXT)
        peer.send(START_TEXT)
        peer.send(KEY)
        assert close_code(peer) == 1011
        other.send(b"abc")
        assert other.recv(WAIT_SECONDS) == b"abc"
        stop(other)
    (record,) = logged.records
    assert f"call {START['session_id']} on route bot: the handler raised ValueError at {__file__}:" in record.message
    assert record.exc_info is not None


def test_a_handler_that_something_it_awaits_cancels_is_told_of(logged: pytest.LogCaptureFixture) -> None:
    async def bot(_: Call) -> None:
        other = asyncio.create_task(asyncio.sleep(60))
        other.cancel()
        await other

    with serving(Server("asyncio"), bot) as server, server.connect() as peer:
        peer.send(START_TEXT)
        assert close_code(peer) == 1011
    (record,) = logged.records
    assert f"call {START['session_id']} on route bot: the handler was cancelled" in record.message


def test_what_the_proxy_would_end_the_call_for_is_raised_where_it_is_said(
    server: Server, logged: pytest.LogCaptureFixture
) -> None:
    async def bot(call: Call) -> None:
        try:
            await call.send(bytes(161))
        except ApiMisuse as error:
            server.told.put(str(error))
        await call.mark("a" * 65)

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        assert "at most 160" in server.hear()
        assert close_code(peer) == 1011
    assert f"ApiMisuse at {__file__}:" in logged.records[0].message


def test_saying_something_after_the_end_is_no_failure(server: Server, logged: pytest.LogCaptureFixture) -> None:
    async def bot(call: Call) -> None:
        try:
            while True:
                await call.send(b"abc")
                await server.pause(0.001)
        except CallOver as over:
            server.told.put(call.end)
            raise ExceptionGroup("as a nursery has it", [over]) from None

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        stop(peer)
        assert not server.hear().truncated
    assert not logged.records


def test_a_slow_handler_loses_its_oldest_audio_and_stalls_nobody(server: Server) -> None:
    go = threading.Event()

    async def bot(call: Call) -> None:
        if call.start.route == "bot":
            await echo(call)
            return
        while not go.is_set():
            await server.pause(0.01)
        server.told.put([item async for item in call])
        server.told.put(call.frames_dropped)

    with serving(server, bot), server.connect() as slow:
        slow.send(json.dumps(START | {"route": "slow"}))
        for number in range(300):
            slow.send(number.to_bytes(2))
        slow.ping().wait(WAIT_SECONDS)
        assert is_echoing(server)
        go.set()
        stop(slow)
        heard = server.hear()
        assert heard[0] == Audio((50).to_bytes(2), lost_before=50)
        assert len(heard) == 251
        assert server.hear() == 50


def test_texts_are_never_dropped_but_read_no_further(server: Server) -> None:
    go = threading.Event()

    async def bot(call: Call) -> None:
        while not go.is_set():
            await server.pause(0.01)
        server.told.put([item async for item in call])

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        for _ in range(2_000):
            peer.send(KEY)
        go.set()
        stop(peer)
        assert len(server.hear()) == 2_001


def test_sending_waits_for_a_proxy_that_does_not_read(server: Server) -> None:
    sent = [0]

    async def bot(call: Call) -> None:
        try:
            while True:
                await call.send(bytes(1900))
                sent[0] += 1
        except CallOver:
            server.told.put("over")

    start = json.dumps(START | {"reply_codec": "pcm16", "reply_rate": 48_000})
    with serving(server, bot), server.connect(max_queue=1) as peer:
        peer.send(start)
        before = -1
        while before != sent[0] or not before:
            before = sent[0]
            threading.Event().wait(0.2)
        assert sent[0] * 1900 < 20_000_000
        break_off(peer)
        assert server.hear() == "over"


def test_a_wait_that_is_cancelled_loses_nothing(server: Server) -> None:
    async def bot(call: Call) -> None:
        heard: list[object] = []
        while not (heard and isinstance(heard[-1], Ended)):
            item = await server.within(0.001, call.__anext__)
            heard += [] if item is None else [item]
        server.told.put(heard[:-1])

    with serving(server, bot), server.connect() as peer:
        peer.send(START_TEXT)
        for number in range(100):
            peer.send(bytes([number]))
            threading.Event().wait(0.0015)
        stop(peer)
        assert server.hear() == [Audio(bytes([number])) for number in range(100)]


def test_when_the_server_ends_its_handlers_are_cancelled(server: Server) -> None:
    async def bot(call: Call) -> None:
        server.told.put("begun")
        try:
            async for _ in call:
                pass
        finally:
            server.told.put("cleared away")

    with ExitStack() as left_open:
        with serving(server, bot):
            peer = left_open.enter_context(server.connect())
            peer.send(START_TEXT)
            assert server.hear() == "begun"
        assert server.hear() == "cleared away"
        assert close_code(peer) in {1006, 1011}


def test_a_call_too_many_is_refused_until_there_is_room(server: Server) -> None:
    with serving(server, echo, max_calls=1):
        with server.connect() as peer:
            peer.send(START_TEXT)
            with pytest.raises(InvalidStatus) as refused, server.connect():
                pass
            assert refused.value.response.status_code == 503
            stop(peer)
        for _ in range(200):
            try:
                assert is_echoing(server)
                break
            except InvalidStatus:
                threading.Event().wait(0.01)
        else:
            pytest.fail("there never was room again")


def pem_files(identity: TlsIdentity, place: Path) -> tuple[Path, Path]:
    certificate, key = place / "certificate.pem", place / "key.pem"
    certificate.write_bytes(identity.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


@pytest.mark.parametrize("is_mutual", [False, True], ids=["server", "mutual"])
def test_in_tls(server: Server, tmp_path: Path, is_mutual: bool) -> None:  # noqa: FBT001
    ca = Authority("ca")
    certificate, key = pem_files(ca.issue("127.0.0.1"), tmp_path)
    options: ServeOptions = {"certificate_file": certificate, "key_file": str(key)}
    context = ssl.create_default_context(cadata=ca.pem.decode())
    with ExitStack() as stack:
        if is_mutual:
            (tmp_path / "ca.pem").write_bytes(ca.pem)
            options["client_ca_file"] = tmp_path / "ca.pem"
        stack.enter_context(serving(server, echo, **options))
        assert server.url.startswith("wss://127.0.0.1:")
        if is_mutual:
            with pytest.raises((OSError, EOFError, InvalidMessage, ConnectionClosed)), server.connect(ssl=context):
                pass
            context.load_cert_chain(certificate, key)
        peer = stack.enter_context(server.connect(ssl=context))
        peer.send(START_TEXT)
        peer.send(b"abc")
        assert peer.recv(WAIT_SECONDS) == b"abc"
        stop(peer)


def test_what_cannot_be_listened_on_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    for options, said in (
        ({"certificate_file": tmp_path / "none.pem", "key_file": tmp_path / "none"}, "none.pem: No such file"),
        ({"key_file": tmp_path}, "TLS needs certificate_file and key_file"),
    ):
        with pytest.raises(CannotListen, match=said), serving(Server(server.loop), echo, **options):  # type: ignore[arg-type]
            pass
