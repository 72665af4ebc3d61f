"""What stands in for a proxy in tests of the shells: a WebSocket client that blocks."""

import json
import socket
import struct

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from sottovoce.backend import Audio, Call, Dtmf
from tests.backend.proxies import START, STOP
from tests.backend.servers import WAIT_SECONDS, Server

START_TEXT, STOP_TEXT = json.dumps(START), json.dumps(STOP)
KEY = json.dumps({"type": "dtmf", "event": 5, "duration_ms": 160})


def stop(peer: ClientConnection) -> None:
    peer.send(STOP_TEXT)
    peer.close()


def break_off(peer: ClientConnection) -> None:
    """Have TCP say RST, in the midst of whatever goes on."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.shutdown(socket.SHUT_RD)
    peer.socket.close()


def close_code(peer: ClientConnection) -> int:
    """Read to the end; give the code of the close."""
    try:
        while True:
            peer.recv(WAIT_SECONDS)
    except ConnectionClosed as closed:
        return 1006 if closed.rcvd is None else closed.rcvd.code


def is_echoing(server: Server) -> bool:
    with server.connect() as peer:
        peer.send(START_TEXT)
        peer.send(b"still here")
        heard = peer.recv(WAIT_SECONDS)
        stop(peer)
    return heard == b"still here"


async def echo(call: Call) -> None:
    async for item in call:
        match item:
            case Audio():
                await call.send(item)
            case Dtmf(event, duration_ms):
                await call.dtmf(event, duration_ms)
            case _:
                pass
