"""What the network shell decides: where a plaintext stream may lead, and which words an error has."""

import errno
import socket

import pytest
import trio

from sottovoce.relay.link import BackendAddress, open_network_stream, parse_url

LOCALHOST = parse_url("ws://localhost:9000/")


class FarSocket:
    def __init__(self, peer: str) -> None:
        self._peer = peer

    def getpeername(self) -> tuple[str, int]:
        return self._peer, 9000


class FarStream:
    """A TCP stream as far as it is looked at."""

    def __init__(self, peer: str) -> None:
        self.socket = FarSocket(peer)
        self.options: dict[int, int] = {}
        self.closed = False

    def setsockopt(self, _level: int, option: int, value: int) -> None:
        self.options[option] = value

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


def lead_to(monkeypatch: pytest.MonkeyPatch, peer: str) -> FarStream:
    stream = FarStream(peer)

    async def open_tcp_stream(_host: str, _port: int) -> FarStream:
        await trio.lowlevel.checkpoint()
        return stream

    monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
    return stream


async def open_plaintext(address: BackendAddress = LOCALHOST, *, loopback_only: bool = True) -> trio.abc.Stream:
    return await open_network_stream(address, None, silence_seconds=15, loopback_only=loopback_only)


@pytest.mark.parametrize("peer", ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_away_is_refused_before_a_byte_is_sent(
    monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    stream = lead_to(monkeypatch, peer)
    with pytest.raises(OSError, match=f"localhost leads to {peer}, which is not this machine: write a wss:// url"):
        await open_plaintext()
    assert stream.closed
    assert stream.options == {}


@pytest.mark.parametrize(("peer", "loopback_only"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False)])
async def test_where_it_may_lead(monkeypatch: pytest.MonkeyPatch, peer: str, *, loopback_only: bool) -> None:
    stream = lead_to(monkeypatch, peer)
    await open_plaintext(loopback_only=loopback_only)
    assert not stream.closed
    assert stream.options


async def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_tcp_stream(_host: str, _port: int) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        raise trio.socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
    with pytest.raises(OSError, match="Name or service not known"):
        await open_plaintext()


async def test_an_address_is_connected_to_without_looking_anything_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trio, "open_tcp_stream")
    async with (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] as listener:
        address = parse_url(f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/")
        async with await open_plaintext(address) as stream, await listener.accept() as accepted:
            await stream.send_all(b"here")
            assert await accepted.receive_some() == b"here"


async def test_an_address_where_nobody_listens() -> None:
    async with (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] as listener:
        address = parse_url(f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/")
    with pytest.raises(OSError, match=r"^Connection refused$"):
        await open_plaintext(address)


async def test_a_cancelled_attempt_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    class Fresh(socket.socket):
        def connect_ex(self, _place: object) -> int:
            made.append(self)
            return errno.EINPROGRESS  # an address that does not answer

    monkeypatch.setattr(socket, "socket", Fresh)
    with trio.move_on_after(0) as scope:
        await open_plaintext(parse_url("ws://127.0.0.1:9/"))
    assert scope.cancelled_caught
    assert [each.fileno() for each in made] == [-1]
