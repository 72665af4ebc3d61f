"""What the network shell decides: where a plaintext stream may lead, and which words an error has."""

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
