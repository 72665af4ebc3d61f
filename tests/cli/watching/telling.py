"""Something that listens and answers `GET /status` with what a test wants."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingMixIn, UnixStreamServer

import msgspec

from sottovoce.admin import Status
from sottovoce.app.control import Done, socket_path
from sottovoce.app.control.orders import to_line


class ThreadingUnixStreamServer(ThreadingMixIn, UnixStreamServer):
    """Python names it from 3.12 on."""


@contextmanager
def running_over(directory: Path, admin: str | bytes) -> Generator[None]:
    """Have somebody take orders as the proxy of a directory does, who tells that admin address, or says that."""
    path = socket_path(str(directory / "run/ready"))
    path.parent.mkdir(exist_ok=True)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            with suppress(BrokenPipeError):  # who saw a stranger here has left
                self.wfile.write(admin if isinstance(admin, bytes) else to_line(Done(admin=admin)))

    with ThreadingUnixStreamServer(os.path.relpath(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


@contextmanager
def telling(answer: Status | bytes, code: int = 200) -> Generator[str]:
    """Give its URL."""
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/status" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # type: ignore[override]
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
