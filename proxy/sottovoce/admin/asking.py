"""Asks a running proxy for its status: what `sottovoce status` and `sottovoce top` do.

The standard library's client, which takes no proxy from the environment.  Blocking.  What answers need not be a proxy:
while none runs, any user of the machine may listen where it would.
"""

import http.client
import ipaddress
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import msgspec

from sottovoce.admin.config import AdminConfig
from sottovoce.admin.status import SCHEMA, Status
from sottovoce.edge import parse_address
from sottovoce.primitives import SottovoceError

_TIMEOUT_SECONDS = 5.0
_MAX_ANSWER_BYTES = 1 << 20
_OK = 200
_START = "start the proxy with: sottovoce serve DIR, or give the URL of its admin address (admin.address)"


class Unanswered(SottovoceError):
    """No proxy says how it does; the text names the address and the remedy."""


def url_of(config: AdminConfig) -> str:
    """Give the URL at which a proxy so configured is asked.  Raises Unanswered where only its log knows the port."""
    address = parse_address(config.address)
    if not address.port:
        raise Unanswered(
            "admin.address has port 0, and only the event proxy.ready tells which port that became: "
            "run: sottovoce status http://127.0.0.1:PORT"
        )
    ip = ipaddress.ip_address(address.host)
    if ip.is_unspecified:  # it listens on all, and this machine is one of them
        return f"http://{'127.0.0.1' if ip.version == 4 else '[::1]'}:{address.port}"  # noqa: PLR2004  as in IPv4
    return f"http://{address}"


def ask_status(url: str) -> Status:
    """Give the status of the proxy whose admin address is `url`.  Raises Unanswered."""
    body = _get(url, "/status")
    try:
        status = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        status = None
    if status is None or status.schema != SCHEMA:
        text = f"{url}: what answers there is no admin address of this version of sottovoce; {_START}"
        raise Unanswered(text)
    return status


def _get(url: str, path: str) -> bytes:
    host, port = _place(url)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.connect()
        with _cut_off_in_time(connection.sock):
            connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
            response = connection.getresponse()
            body = response.read(_MAX_ANSWER_BYTES + 1)
            status = response.status
    except TimeoutError:
        text = f"{url}: nothing answers within {_TIMEOUT_SECONDS:g} s; is that the admin address? {_START}"
        raise Unanswered(text) from None
    except OSError as error:
        text = f"nobody answers at {url} ({error.strerror or 'no connection'}): {_START}"
        raise Unanswered(text) from None
    except UnicodeError:
        text = f"{url!a} names no host: write the one that the event proxy.ready tells"
        raise Unanswered(text) from None
    except http.client.HTTPException:
        text = f"{url}: what answers there speaks no HTTP; {_START}"
        raise Unanswered(text) from None
    finally:
        connection.close()
    if status != _OK or len(body) > _MAX_ANSWER_BYTES:
        text = f"{url}: what answers there says {status} to {path} and is no proxy's admin address; {_START}"
        raise Unanswered(text)
    return body


@contextmanager
def _cut_off_in_time(connected: socket.socket) -> Generator[None]:
    """End a conversation that takes too long altogether: the socket's own limit begins anew with each byte.

    Raises TimeoutError in place of whatever that led to.
    """
    is_over = threading.Event()

    def cut_off() -> None:
        is_over.set()
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_TIMEOUT_SECONDS, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not is_over.is_set():
            raise
    finally:
        timer.cancel()
    if is_over.is_set():
        raise TimeoutError


def _place(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or not url.startswith("http://"):
        text = f"{url!a} is no admin address: write http://127.0.0.1:9443, or a directory made by sottovoce init"
        raise Unanswered(text)
    return host, port
