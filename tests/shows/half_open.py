"""Holds handshakes half open, from many addresses: `half_open PORT COUNT`; says `{"held": …}`, waits for a line.

They stop at four points, a quarter at each: before a byte, within the ClientHello, after TLS, and after the WebSocket's
upgrade where the voice hello is due (these last, since the voice handshake has a deadline of its own).  Sources are
127.P.0.A, fifty of a prefix.
"""

import json
import socket
import ssl
import sys

UPGRADE = (
    b"GET /v1/voice/echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: sottovoce.v1\r\n\r\n"
)
A_PREFIX = 50
SECONDS = 20.0
CLIENT_HELLO = b"\x16\x03\x01\x06\x00\x01\x00\x05\xfc\x03\x03"
"""The beginning of one."""


def source(number: int) -> str:
    return f"127.{20 + number // A_PREFIX}.0.{1 + number % A_PREFIX}"


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE  # whose certificate it is, is nothing to somebody who stops here
    return made


def main(port: int, count: int) -> None:
    tls, held, refused = context(), [], 0
    for number in range(count):
        try:
            plain = socket.create_connection(("127.0.0.1", port), SECONDS, (source(number), 0))
            stop = 4 * number // count
            if stop == 1:
                plain.sendall(CLIENT_HELLO)
            elif stop > 1:
                plain = tls.wrap_socket(plain)
            if stop == 3:
                plain.sendall(UPGRADE)
                assert plain.recv(4096).startswith(b"HTTP/1.1 101 ")
            held.append(plain)
        except (OSError, AssertionError):
            refused += 1
    print(json.dumps({"held": len(held), "refused": refused}), flush=True)  # noqa: T201  its result
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
