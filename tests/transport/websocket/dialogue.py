"""Requests, responses and frames written by hand, and two WebSockets that talk."""

from collections.abc import Iterable, Iterator

from sottovoce.transport import ClientWebSocket, ServerWebSocket, UpgradeAccepted, UpgradeRequest, WsEvent

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LIMIT = 200
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of RFC 6455 §1.3; its answer there is `ACCEPT`."""
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HEADERS = {
    "Host": "voice.example.com:8443",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def head(first_line: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the head of an HTTP message."""
    return "\r\n".join([first_line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


def request(line: str = "GET /v1/voice/echo HTTP/1.1", /, **changed: str | None) -> bytes:
    """Write a sound request, but for the headers given (`_` for `-`); None leaves one out."""
    headers: dict[str, str | None] = {**HEADERS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return head(line, ((name, value) for name, value in headers.items() if value is not None))


def frame(opcode: int, payload: bytes = b"", *, masked: bool, fin: bool = True, reserved: int = 0) -> bytes:
    """Write a frame (RFC 6455 §5.2)."""
    first = (0x80 if fin else 0) | reserved | opcode
    size = len(payload)
    mark = 0x80 if masked else 0
    if size < 126:
        start = bytes([first, mark | size])
    elif size < 65_536:
        start = bytes([first, mark | 126]) + size.to_bytes(2, "big")
    else:
        start = bytes([first, mark | 127]) + size.to_bytes(8, "big")
    if not masked:
        return start + payload
    mask = b"\x01\x02\x03\x04"
    return start + mask + bytes(each ^ mask[place % 4] for place, each in enumerate(payload))


def open_server(subprotocol: str | None = None, *, limit: int = LIMIT) -> ServerWebSocket:
    """Give a server that has accepted."""
    server = ServerWebSocket(max_message_bytes=limit)
    [asked] = server.receive(request(Sec_WebSocket_Protocol=subprotocol))
    assert isinstance(asked, UpgradeRequest)
    server.accept(subprotocol)
    assert server.to_send().startswith(b"HTTP/1.1 101 ")
    return server


def connected(subprotocol: str | None = None, *, limit: int = LIMIT) -> tuple[ClientWebSocket, ServerWebSocket]:
    """Give a client and a server that are open."""
    client = ClientWebSocket("localhost:8443", "/v1/voice/echo", max_message_bytes=limit, subprotocol=subprotocol)
    server = ServerWebSocket(max_message_bytes=limit)
    client.request()
    [asked] = server.receive(client.to_send())
    assert isinstance(asked, UpgradeRequest)
    server.accept(subprotocol)
    assert client.receive(server.to_send()) == [UpgradeAccepted(subprotocol)]
    return client, server


def cut(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Cut data into pieces of these sizes; what is left is the last."""
    for size in sizes:
        if not data:
            return
        yield data[:size]
        data = data[size:]
    if data:
        yield data


def receive_pieces(end: ServerWebSocket | ClientWebSocket, pieces: Iterable[bytes]) -> list[WsEvent]:
    """Feed piece after piece; give all events."""
    return [event for piece in pieces for event in end.receive(piece)]
