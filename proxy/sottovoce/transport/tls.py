"""TLS 1.3 without input or output: bytes of the network in, plaintext out, and the reverse; both roles.

Not here: sockets and waiting (`stream`), settings and OpenSSL's calls (`openssl`).

A connection is used like this: feed what arrives to `receive`, and after *every* call, one that raised included, write
what `to_send` gives: it holds handshake messages, records, and the alert that tells the peer why we failed.

A fault never takes back plaintext that came before it: such plaintext is returned first, and the next call raises.  So
what a caller sees does not depend on how the bytes were cut.
"""

from typing import Final, NoReturn, cast

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.errors import TlsError, TlsReason, TlsTruncated
from sottovoce.transport.limits import EXPORTER_BYTES, HANDSHAKE_BYTES, RECORD_PLAINTEXT_BYTES
from sottovoce.transport.openssl import (
    Outcome,
    RecordPipe,
    Role,
    TlsContext,
    certificate_refused,
    take_fault,
    tls_error,
)

_GROUP_NAMES: Final = {
    name.casefold(): name for name in ("X25519", "X25519MLKEM768", "SecP384r1MLKEM1024", "secp256r1", "secp384r1")
}
"""OpenSSL writes some of the IANA names in small letters."""


class _Released:
    """Stands where OpenSSL's connection was."""

    def drain(self) -> bytes:
        """Nothing is left to be sent."""
        return b""

    def __getattr__(self, name: str) -> NoReturn:
        raise ApiMisuse("TLS: of a connection that was released nothing is known any more")


class TlsCore:
    """One TLS connection.

    After a raised `TlsError` it is over: every further call but `to_send` raises the same error again.
    """

    __slots__ = (
        "_closed",
        "_complete",
        "_connection",
        "_context",
        "_handshake_bytes",
        "_pipe",
        "closed_by_peer",
        "failure",
    )

    def __init__(self, context: TlsContext) -> None:
        self._context = context
        self._connection = context.new_connection()
        self._pipe = RecordPipe(self._connection)
        self._complete = False
        self.failure: TlsError | None = None
        """Why the connection is over; None while it is not."""
        self._handshake_bytes = 0
        self._closed = False
        self.closed_by_peer = False
        """Whether the peer's close_notify has been read: what came before it is all there was."""
        if context.role is Role.CLIENT:
            self._pipe.handshake()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the network and give the plaintext that they complete, perhaps none.

        Raises `TlsError`; the connection is then over.
        """
        if not self._complete or self.failure is not None:
            data = self._shake_hands(data)
            if not self._complete:
                return b""
        self._pipe.feed(data)
        plaintext, outcome = self._pipe.read()
        if outcome is not Outcome.WANTS_BYTES:
            self._reading_ended(outcome, plaintext)
        return plaintext

    def receive_record(self, data: bytes) -> bytes | None:
        """Take bytes as `receive` does, more cheaply where they are one record of data, as they are in a call.

        None: they were something else; call `receive` with nothing, and `to_send`.  Otherwise there is nothing to send.
        """
        if not self._complete or self.failure is not None:
            raise ApiMisuse("TLS: receive() shakes hands")
        return self._pipe.open_one(data) or None

    def receive_eof(self) -> None:
        """Say that the network has no more bytes; raises `TlsTruncated` unless the peer had said so first."""
        if self.failure is not None:
            raise self.failure
        if not self.closed_by_peer:
            raise self._fail(TlsTruncated())

    def send(self, plaintext: bytes) -> None:
        """Encrypt a piece of plaintext of any length.  Many pieces may be sent before one `to_send`."""
        if not self._complete or self._closed or self.failure is not None:
            self._refuse_use()
        if plaintext and self._pipe.write(plaintext) is not Outcome.DONE:
            raise self._fail(self._describe())

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt a piece of plaintext and give all bytes that the network should carry now."""
        if 0 < len(plaintext) <= RECORD_PLAINTEXT_BYTES and self._complete and not self._closed and not self.failure:
            return self._pipe.seal(plaintext) or self._refused()
        self.send(plaintext)
        return self._pipe.drain()

    def _refused(self) -> bytes:
        raise self._fail(self._describe())

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        return self._pipe.drain()

    def close(self) -> None:
        """Queue close_notify, once: nothing can be sent after it.  Reading goes on (RFC 8446 §6.1)."""
        if self._complete and not self._closed and self.failure is None:
            self._closed = True
            self._pipe.shut_down()

    def release(self) -> None:
        """Free what OpenSSL holds of a connection that is over.

        It is by far the most of a call's memory, and whoever holds this object may be garbage for long before it is
        collected.  `failure`, `closed_by_peer` and `handshake_complete` stay; there is nothing to send.
        """
        self._pipe = cast("RecordPipe", released := _Released())
        self._connection = cast("SSL.Connection", released)
        if self.failure is not None:
            self.failure.__traceback__ = None  # whose frames hold this object

    @property
    def handshake_complete(self) -> bool:
        """Whether the handshake has succeeded, whatever came after it."""
        return self._complete

    @property
    def group(self) -> str:
        """The key agreement group's IANA name, such as `X25519MLKEM768`."""
        name = self._established().get_group_name() or "unknown"
        return _GROUP_NAMES.get(name.casefold(), name)

    @property
    def cipher(self) -> str:
        """The cipher suite's IANA name."""
        return self._established().get_cipher_name() or "unknown"

    @property
    def version(self) -> str:
        """The protocol's version: `TLSv1.3`."""
        return self._established().get_protocol_version_name()

    @property
    def alpn(self) -> str | None:
        """The application protocol agreed on, None if the client offered none."""
        return self._established().get_alpn_proto_negotiated().decode("ascii") or None

    @property
    def server_name(self) -> str | None:
        """The name that the client asked for (RFC 6066 §3), as it wrote it; None if it gave none."""
        name = self._established().get_servername()
        return None if name is None else name.decode("ascii", "replace")

    def exporter(self) -> bytes:
        """Give the channel binding `tls-exporter` of RFC 9266: 32 bytes, equal at both ends and nowhere else."""
        return self._established().export_keying_material(b"EXPORTER-Channel-Binding", EXPORTER_BYTES, b"")

    def peer_certificate_der(self) -> bytes | None:
        """Give the certificate that the peer showed and we accepted, None if it showed none."""
        certificate = self._established().get_peer_certificate(as_cryptography=True)
        return None if certificate is None else certificate.public_bytes(Encoding.DER)

    def peer_chain_der(self) -> tuple[bytes, ...]:
        """Give the certificates that the peer sent, its own first, whether or not they lead anywhere."""
        chain = self._established().get_peer_cert_chain(as_cryptography=True) or []
        return tuple(each.public_bytes(Encoding.DER) for each in chain)

    def _shake_hands(self, data: bytes) -> bytes:
        """Advance the handshake; give what is left of `data` when it completes."""
        if self.failure is not None:
            raise self.failure
        allowed = HANDSHAKE_BYTES - self._handshake_bytes
        self._pipe.feed(data[:allowed])
        self._handshake_bytes += len(data)
        outcome = self._pipe.handshake()
        if outcome is Outcome.DONE:
            self._complete = True
            return data[allowed:]
        if outcome is not Outcome.WANTS_BYTES:
            raise self._fail(self._describe())
        if self._handshake_bytes > HANDSHAKE_BYTES:
            text = f"the peer sent more than {HANDSHAKE_BYTES} bytes without completing a TLS handshake"
            raise self._fail(TlsError(TlsReason.HANDSHAKE_TOO_LARGE, text))
        return b""

    def _reading_ended(self, outcome: Outcome, plaintext: bytes) -> None:
        if outcome is Outcome.CLOSED:
            self.closed_by_peer = True
            return
        failure = self._fail(self._describe())
        if not plaintext:
            raise failure

    def _describe(self) -> TlsError:
        """Name what OpenSSL has just refused."""
        fault = take_fault()
        if fault.text == "certificate verify failed":
            code, words = self._pipe.verify_result()
            return certificate_refused(code, words, self._context.host)
        return tls_error(fault, self._context.pq)

    def _fail(self, failure: TlsError) -> TlsError:
        self.failure = failure
        return failure

    def _refuse_use(self) -> NoReturn:
        if self.failure is not None:
            raise self.failure
        raise ApiMisuse("TLS: nothing can be sent before the handshake is complete or after close()")

    def _established(self) -> SSL.Connection:
        if not self._complete:
            raise ApiMisuse("TLS: not known before the handshake is complete")
        return self._connection
