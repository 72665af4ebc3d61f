"""A flood of bad voice hellos from one prefix: `bad_hellos PORT`; until a line comes, then it says what it met.

Each does TLS and the WebSocket's upgrade as it should, then sends a record that is no hello.  Sources are 127.1.0.A.
"""

import json
import os
import select
import socket
import sys
import threading
from collections import Counter

from tests.shows.half_open import SECONDS, UPGRADE, context

THREADS = 4
ADDRESSES = 200
BAD_HELLO = b"\x82\x88\x00\x00\x00\x00\x00\x00\x05\x01\x00\x00\x00\x00"
"""A masked binary message (RFC 6455 §5.2) of eight bytes, which are no record with a ClientHello."""


def main(port: int) -> None:
    os.nice(19)  # it stands for other machines
    met: Counter[str] = Counter()
    over = threading.Event()
    threads = [threading.Thread(target=_flood, args=(port, number, met, over)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    select.select([sys.stdin], [], [])
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(met), flush=True)  # noqa: T201  its result


def _flood(port: int, first: int, met: Counter[str], over: threading.Event) -> None:
    tls, number = context(), first
    while not over.is_set():
        number += THREADS
        try:
            source = f"127.1.0.{1 + number % ADDRESSES}"
            with tls.wrap_socket(socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0))) as stream:
                stream.sendall(UPGRADE)
                stream.recv(4096)
                stream.sendall(BAD_HELLO)
                met["answered" if stream.recv(4096) else "cut off"] += 1
        except OSError:
            met["refused"] += 1


if __name__ == "__main__":
    main(int(sys.argv[1]))
