"""The part of OpenSSL that pyOpenSSL keeps private: the only module that touches it.

Not here: what we want of TLS (`contexts`) and when to do what (`transport/tls`).  Why the public interface does not
serve; `tests/transport/openssl/test_binding.py` fails when one of these names changes its meaning.

- Groups: pyOpenSSL 26.4 has no call for them; cryptography exposes the one it needs
  (https://github.com/pyca/cryptography/issues/14288).
- The host that a certificate must name: set on the trust store, so OpenSSL checks it with the chain and sends the right
  alert itself (X509_VERIFY_PARAM_set1_host(3); the parameters of a store are inherited by each verification).
- Moving bytes: `Connection.recv` and `bio_read` allocate a buffer for each call and raise for each "nothing yet", which
  costs 8.8 µs where the calls below cost 2.7 (a 200-byte record; measured, ratios hold).
- Errors: pyOpenSSL keeps the text of a fault and drops its number, which alone says that it was the peer's alert.
- The key log: it makes text of every secret, and of a line it gives no part.
- ALPN: its callback can refuse only by raising, and keeps what was raised.
"""
# ruff: noqa: SLF001 - private attributes of pyOpenSSL are this module's business

import threading
from binascii import unhexlify
from collections.abc import Callable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple, Protocol

from OpenSSL import SSL, _util

from sottovoce.primitives import Secret, wipe_bytes
from sottovoce.transport.limits import READ_BYTES, RECORD_PLAINTEXT_BYTES

_lib: Any = _util.lib
_ffi: Any = _util.ffi

_CHECK_FLAGS: Final = 0x20 | 0x04
"""X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS: only subject alternative names count
(RFC 9525 §2), and `*` stands for a whole label."""

_HEADER_BYTES: Final = 5
"""Of a TLS record: type, version, length of the rest (RFC 8446 §5.1)."""

_ENCRYPTED: Final = 23
"""The type of every encrypted record (RFC 8446 §5.2)."""

_ALERT_REASONS: Final = 1000
"""SSL_AD_REASON_OFFSET: an OpenSSL reason from here on is an alert that the peer sent."""


_CLIENT_SECRET: Final = b"CLIENT_TRAFFIC_SECRET_0 "
_SERVER_SECRET: Final = b"SERVER_TRAFFIC_SECRET_0 "
"""How the lines of a key log begin that tell the secrets of data; every line is longer than this."""

_RANDOM_HEX_BYTES: Final = 65
"""The client's random in hexadecimal, and the space behind it."""


class TellSecret(Protocol):
    """Takes an application traffic secret of a connection's (RFC 8446 §7.1), which is the taker's to wipe."""

    def __call__(self, connection: SSL.Connection, secret: Secret, *, of_client: bool) -> None:
        """Take it."""
        ...


class _Scratch(threading.local):
    """One buffer for each thread to read into; a thread's bytes are copied out before it reads again."""

    def __init__(self) -> None:
        self.buffer: Any = _ffi.new("char[]", READ_BYTES)
        self.view: Any = _ffi.buffer(self.buffer)


_scratch = _Scratch()


class Outcome(Enum):
    """How a step ended."""

    DONE = "done"
    WANTS_BYTES = "wants bytes"
    CLOSED = "closed by close_notify"
    FAILED = "failed"


class Fault(NamedTuple):
    """The first error that OpenSSL recorded."""

    text: str
    alert: int | None
    """The number of the alert that the peer sent, None if the fault was found here."""


class RecordPipe:
    """Bytes through one connection on memory BIOs, without an exception for "nothing yet"."""

    __slots__ = (
        "_connection",
        "_header",
        "_incoming",
        "_is_single",
        "_missing",
        "_outcome_of_one",
        "_outgoing",
        "_ssl",
    )

    def __init__(self, connection: SSL.Connection) -> None:
        raw: Any = connection
        self._connection = connection  # owns the pointers below
        self._ssl: Any = raw._ssl
        self._incoming: Any = raw._into_ssl
        self._outgoing: Any = raw._from_ssl
        self._header = b""  # of a record, as far as it has come
        self._missing = 0  # of the body of a record
        self._is_single = False  # what was fed is one record, whole: behind it there is nothing to read
        self._outcome_of_one: Outcome | None = None  # for `read` to give: OpenSSL says it once

    def feed(self, data: bytes) -> None:
        """Add bytes from the network; a memory BIO takes them all."""
        size = len(data)
        if not size:
            return
        _lib.BIO_write(self._incoming, data, size)
        self._is_single = (
            not self._missing
            and not self._header
            and size >= _HEADER_BYTES
            and size == _HEADER_BYTES + int.from_bytes(data[3:5])
        )
        if not self._is_single:
            self._count(data)

    def feed_flight(self, data: bytes, at: int = 0) -> int:
        """Add bytes from the network from `at` to the end of an encrypted record, or all; give where that is.

        The record that completes a handshake is an encrypted one.  Others are fed together: of them an unknown peer may
        send thousands, and a step of the handshake for each would cost ten times as much.
        """
        end, size, header = at + self._missing, len(data), self._header
        may_complete = self._missing > 0  # of what type that record is is not known any more
        while end < size and not may_complete:
            head = header + data[end : end + _HEADER_BYTES - len(header)] if header else data[end : end + _HEADER_BYTES]
            if len(head) < _HEADER_BYTES:
                header, end = head, size
                break
            may_complete = head[0] == _ENCRYPTED
            end += _HEADER_BYTES - len(header) + (head[3] << 8 | head[4])
            header = b""
        self._header, self._missing = header, max(0, end - size)
        end = min(end, size)
        if end > at:
            _lib.BIO_write(self._incoming, data[at:end], end - at)
        return end

    def has_taken_all(self) -> bool:
        """Whether what was fed ends with a record and none of it waits: in the BIO, or decrypted."""
        if self._missing or self._header or _lib.SSL_pending(self._ssl):
            return False
        scratch = _scratch
        size: int = _lib.BIO_read(self._incoming, scratch.buffer, READ_BYTES)
        if size > 0:
            _lib.BIO_write(self._incoming, scratch.view[:size], size)
        return size <= 0

    def put_back(self, data: bytes) -> None:
        """Have `drain` give again what it gave last, if nothing was written since."""
        if data:
            _lib.BIO_write(self._outgoing, data, len(data))

    def _count(self, data: bytes) -> None:
        """Follow where records begin and end (RFC 8446 §5.1)."""
        at = min(self._missing, len(data))
        self._missing -= at
        while at < len(data):
            header = self._header + data[at : at + _HEADER_BYTES - len(self._header)]
            at += len(header) - len(self._header)
            if len(header) < _HEADER_BYTES:
                self._header = header
                return
            self._header, body = b"", int.from_bytes(header[3:5])
            self._missing = max(0, body - (len(data) - at))
            at += body

    def handshake(self) -> Outcome:
        """Take the handshake as far as the bytes allow."""
        _lib.ERR_clear_error()
        return self._outcome(_lib.SSL_do_handshake(self._ssl))

    def open_one(self, data: bytes) -> bytes:
        """Take bytes, and give their plaintext if they are one whole record of data; TLS has nothing to answer then.

        Empty: they were something else, and `read` has the rest to say.  A second read, to find that there is nothing
        more, costs as much as the first.
        """
        self.feed(data)
        if not self._is_single:
            return b""
        _lib.ERR_clear_error()
        scratch = _scratch
        size = _lib.SSL_read(self._ssl, scratch.buffer, RECORD_PLAINTEXT_BYTES)
        if size > 0:
            plaintext: bytes = scratch.view[:size]
            return plaintext
        self._outcome_of_one = self._outcome(size)
        return b""

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt what fits one record and give all bytes for the network; nothing, if that fails."""
        size = len(plaintext)
        if _lib.SSL_write(self._ssl, plaintext, size) != size:
            return b""
        scratch = _scratch
        size = _lib.BIO_read(self._outgoing, scratch.buffer, READ_BYTES)
        sealed: bytes = scratch.view[:size]
        return sealed if size < READ_BYTES else sealed + self.drain()

    def read(self) -> tuple[bytes, Outcome]:
        """Decrypt all that has arrived whole; how reading ended is never DONE."""
        if self._outcome_of_one is not None:
            outcome, self._outcome_of_one = self._outcome_of_one, None
            return b"", outcome
        _lib.ERR_clear_error()  # another connection's leftovers would be taken for this one's
        scratch, ssl, read = _scratch, self._ssl, _lib.SSL_read
        size = read(ssl, scratch.buffer, RECORD_PLAINTEXT_BYTES)
        if size <= 0:
            return b"", self._outcome(size)
        first: bytes = scratch.view[:size]
        size = read(ssl, scratch.buffer, RECORD_PLAINTEXT_BYTES)
        if size <= 0:
            return first, self._outcome(size)
        parts = [first]
        while size > 0:
            parts.append(scratch.view[:size])
            size = read(ssl, scratch.buffer, RECORD_PLAINTEXT_BYTES)
        return b"".join(parts), self._outcome(size)

    def write(self, plaintext: bytes) -> Outcome:
        """Encrypt all of it, a record at a time (the context is in partial-write mode)."""
        size = len(plaintext)
        if size <= RECORD_PLAINTEXT_BYTES:
            written = _lib.SSL_write(self._ssl, plaintext, size)
            return Outcome.DONE if written == size else self._outcome(written)
        with _ffi.from_buffer(plaintext) as start:
            done = 0
            while done < size:
                written = _lib.SSL_write(self._ssl, start + done, size - done)
                if written <= 0:
                    return self._outcome(written)
                done += written
        return Outcome.DONE

    def shut_down(self) -> None:
        """Queue close_notify."""
        _lib.ERR_clear_error()
        _lib.SSL_shutdown(self._ssl)
        _lib.ERR_clear_error()

    def drain(self) -> bytes:
        """Take all bytes for the network."""
        scratch = _scratch
        size = _lib.BIO_read(self._outgoing, scratch.buffer, READ_BYTES)
        if size <= 0:
            return b""
        first: bytes = scratch.view[:size]
        if size < READ_BYTES:
            return first
        parts = [first]
        while (size := _lib.BIO_read(self._outgoing, scratch.buffer, READ_BYTES)) > 0:
            parts.append(scratch.view[:size])
        return b"".join(parts)

    def verify_result(self) -> tuple[int, str]:
        """Give the code of the certificate check that failed and OpenSSL's words for it; 0 if none did."""
        code: int = _lib.SSL_get_verify_result(self._ssl)
        return code, _text(_lib.X509_verify_cert_error_string(code))

    def _outcome(self, result: int) -> Outcome:
        if result > 0:
            return Outcome.DONE
        error = _lib.SSL_get_error(self._ssl, result)
        if error == _lib.SSL_ERROR_WANT_READ:
            return Outcome.WANTS_BYTES
        if error == _lib.SSL_ERROR_ZERO_RETURN:
            return Outcome.CLOSED
        return Outcome.FAILED


def take_fault() -> Fault:
    """Empty the thread's error queue and give its first entry."""
    first = 0
    while code := _lib.ERR_get_error():
        first = first or code
    reason = _lib.ERR_GET_REASON(first)
    return Fault(
        _text(_lib.ERR_reason_error_string(first)), reason - _ALERT_REASONS if reason >= _ALERT_REASONS else None
    )


def tell_secrets(context: SSL.Context, tell: TellSecret, log: Callable[[bytes], None] | None) -> None:
    """Have OpenSSL tell the secrets that the data of its connections begins with; and to `log` whole lines of all.

    Of the other secrets nothing is copied out of OpenSSL, unless there is a log, and of these two nothing stays but
    what is told.  pyOpenSSL's call makes text of each line first.
    """
    raw: Any = context
    connections: Any = SSL.Connection

    def on_line(ssl: Any, line: Any) -> None:  # noqa: ANN401  OpenSSL's objects
        if log is not None:
            log(_ffi.string(line))
        label: bytes = _ffi.buffer(line, len(_CLIENT_SECRET))[:]
        if label in {_CLIENT_SECRET, _SERVER_SECRET}:
            text: bytes = _ffi.string(line + len(label) + _RANDOM_HEX_BYTES)
            secret = Secret.take("TLS traffic secret", unhexlify(text))
            wipe_bytes(text)
            tell(connections._reverse_mapping[ssl], secret, of_client=label == _CLIENT_SECRET)

    # Kept where pyOpenSSL keeps its own: a callback that OpenSSL still knows must never be collected.
    raw._keylog_callback = _ffi.callback("void (*)(const SSL *, const char *)", on_line)
    _lib.SSL_CTX_set_keylog_callback(raw._context, raw._keylog_callback)


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Set the key agreement groups, `/` between tuples and `:` inside one; False if OpenSSL knows one of them not."""
    raw: Any = context
    accepted: int = _lib.SSL_CTX_set1_curves_list(raw._context, groups.encode("ascii"))
    _lib.ERR_clear_error()
    return accepted == 1


def require_host(context: SSL.Context, host: str | IPv4Address | IPv6Address) -> bool:
    """Let a context accept only certificates that name `host` among their subject alternative names."""
    store: Any = context.get_cert_store()
    parameters = _ffi.gc(_lib.X509_VERIFY_PARAM_new(), _lib.X509_VERIFY_PARAM_free)
    if isinstance(host, str):
        name = host.encode("ascii")
        _lib.X509_VERIFY_PARAM_set_hostflags(parameters, _CHECK_FLAGS)
        accepted: int = _lib.X509_VERIFY_PARAM_set1_host(parameters, name, len(name))
    else:
        accepted = _lib.X509_VERIFY_PARAM_set1_ip(parameters, host.packed, len(host.packed))
    stored: int = _lib.X509_STORE_set1_param(store._store, parameters)
    return accepted == 1 and stored == 1


def select_alpn(context: SSL.Context) -> None:
    """Let a server select http/1.1, and refuse with alert 120 a client that offers protocols but not this one.

    A client that offers none is served (RFC 7301 §3.1, §3.2).
    """
    raw: Any = context
    _lib.SSL_CTX_set_alpn_select_cb(raw._context, _choose_http, _ffi.NULL)


_ALPN_CHOSEN: Final[int] = _lib.SSL_TLSEXT_ERR_OK
_ALPN_REFUSED: Final[int] = _lib.SSL_TLSEXT_ERR_ALERT_FATAL
_HTTP: Final = b"http/1.1"
_HTTP_MEMORY: Final[Any] = _ffi.new("unsigned char[]", _HTTP)  # OpenSSL copies it after the callback has returned


def _offers_http(offer: bytes) -> bool:
    while offer:
        end = 1 + offer[0]
        if offer[1:end] == _HTTP:
            return True
        offer = offer[end:]
    return False


def _on_alpn(_ssl: Any, out: Any, out_length: Any, offer: Any, offer_length: int, _argument: Any) -> int:  # noqa: ANN401 - OpenSSL's signature and objects
    if not _offers_http(bytes(_ffi.buffer(offer, offer_length))):
        return _ALPN_REFUSED
    out[0] = _HTTP_MEMORY
    out_length[0] = len(_HTTP)
    return _ALPN_CHOSEN


# It lives as long as the module: a callback that OpenSSL still knows must never be collected.
_choose_http: Final[Any] = _ffi.callback(
    "int (*)(SSL *, unsigned char **, unsigned char *, const unsigned char *, unsigned int, void *)",
    _on_alpn,
    error=_ALPN_REFUSED,
)


def _text(pointer: Any) -> str:  # noqa: ANN401 - a C string
    return "" if pointer == _ffi.NULL else _ffi.string(pointer).decode("ascii", "replace")
