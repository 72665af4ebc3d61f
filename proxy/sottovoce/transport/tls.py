"""TLS 1.3 without input or output: bytes of the network in, plaintext out, and the reverse; both roles.

Not here: sockets and waiting (`stream`), settings and OpenSSL's calls (`openssl`), records behind the handshake
(`records`).

A connection is used like this: feed what arrives to `receive`, and after *every* call, one that raised included, write
what `to_send` gives: it holds handshake messages, records, and the alert that tells the peer why we failed.

A fault never takes back plaintext that came before it: such plaintext is returned first, and the next call raises.  So
what a caller sees does not depend on how the bytes were cut.

OpenSSL shakes hands.  Then the context's word decides: records of our own (`RecordCore`), and all that OpenSSL holds is
freed, or OpenSSL's (`OpenSslRecords`).  Where the hand-over cannot be made with certainty OpenSSL goes on.
"""

import sys
from typing import Final, NamedTuple, NoReturn

from OpenSSL import SSL, crypto

from sottovoce.primitives import ApiMisuse
from sottovoce.transport.errors import TlsError, TlsReason, TlsTruncated
from sottovoce.transport.limits import EXPORTER_BYTES, HANDSHAKE_BYTES
from sottovoce.transport.openssl import (
    OpenSslRecords,
    Outcome,
    RecordLayer,
    RecordPipe,
    Role,
    TlsContext,
    TrafficSecrets,
    certificate_refused,
    hand_over,
    take_fault,
    tls_error,
)
from sottovoce.transport.records import RecordCore

Records = RecordCore | OpenSslRecords
"""What carries data behind the handshake, whoever encrypts it."""

_GROUP_NAMES: Final = {
    name.casefold(): name for name in ("X25519", "X25519MLKEM768", "SecP384r1MLKEM1024", "secp256r1", "secp384r1")
}
"""OpenSSL writes some of the IANA names in small letters."""


class Negotiated(NamedTuple):
    """What a handshake has come to."""

    group: str
    cipher: str
    version: str
    alpn: str | None
    server_name: str | None
    exporter: bytes
    certificate_der: bytes | None
    chain_der: tuple[bytes, ...]

    @classmethod
    def of(cls, connection: SSL.Connection) -> "Negotiated":
        """Ask OpenSSL, whose connection may be freed behind this.

        Certificates are not read here: a stranger may show such as OpenSSL alone can read.
        """
        group, name = connection.get_group_name() or "unknown", connection.get_servername()
        certificate = connection.get_peer_certificate()
        chain = connection.get_peer_cert_chain() or [] if certificate is not None else []
        return cls(
            group=_GROUP_NAMES.get(group.casefold(), group),
            cipher=sys.intern(connection.get_cipher_name() or "unknown"),
            version=sys.intern(connection.get_protocol_version_name()),
            alpn=sys.intern(connection.get_alpn_proto_negotiated().decode("ascii")) or None,
            server_name=None if name is None else name.decode("ascii", "replace"),
            exporter=connection.export_keying_material(b"EXPORTER-Channel-Binding", EXPORTER_BYTES, b""),
            certificate_der=None if certificate is None else _der(certificate),
            chain_der=tuple(map(_der, chain)),
        )


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


class TlsCore:
    """One TLS connection.

    After a raised `TlsError` it is over: every further call but `to_send` raises the same error again.
    """

    __slots__ = ("_connection", "_context", "_failure", "_handshake_bytes", "_negotiated", "_pipe", "_records")

    def __init__(self, context: TlsContext) -> None:
        self._context = context
        self._connection: SSL.Connection | None = context.new_connection()
        self._pipe: RecordPipe | None = RecordPipe(self._connection)
        self._records: Records | None = None
        self._negotiated: Negotiated | None = None
        self._failure: TlsError | None = None
        self._handshake_bytes = 0
        if context.role is Role.CLIENT:
            self._pipe.handshake()

    @property
    def failure(self) -> TlsError | None:
        """Why the connection is over; None while it is not."""
        return self._failure if self._records is None else self._records.failure

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer's close_notify has been read: what came before it is all there was."""
        return self._records is not None and self._records.closed_by_peer

    @property
    def records(self) -> Records:
        """What carries data: who has much of it goes there at once, where all methods for data are the same."""
        return self._records or self._too_early()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the network and give the plaintext that they complete, perhaps none.

        Raises `TlsError`; the connection is then over.
        """
        if self._records is None:
            data = self._shake_hands(data)
            if self._records is None:
                return b""
        return self._records.receive(data)

    def receive_record(self, data: bytes) -> bytes | None:
        """Take bytes as `receive` does, more cheaply where they are one record of data, as they are in a call.

        None: they were something else; call `receive` with nothing, and `to_send`.  Otherwise there is nothing to send.
        """
        return self.records.receive_record(data)

    def receive_eof(self) -> None:
        """Say that the network has no more bytes; raises `TlsTruncated` unless the peer had said so first."""
        if self._records is not None:
            self._records.receive_eof()
            return
        raise self._failure or self._fail(TlsTruncated())

    def send(self, plaintext: bytes) -> None:
        """Encrypt a piece of plaintext of any length.  Many pieces may be sent before one `to_send`."""
        if self._failure is not None:
            raise self._failure
        self.records.send(plaintext)

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt a piece of plaintext and give all bytes that the network should carry now."""
        if self._failure is not None:
            raise self._failure
        return self.records.seal(plaintext)

    def to_send(self) -> bytes:
        """Give all bytes that the network should carry now, perhaps none."""
        if self._records is not None:
            return self._records.to_send()
        return b"" if self._pipe is None else self._pipe.drain()

    def close(self) -> None:
        """Queue close_notify, once: nothing can be sent after it.  Reading goes on (RFC 8446 §6.1)."""
        if self._records is not None:
            self._records.close()

    def release(self) -> None:
        """Free what is held of a connection that is over, and drop its keys.

        OpenSSL's part is by far the most of a call's memory, and whoever holds this object may be garbage for long
        before it is collected.  `failure`, `closed_by_peer` and `handshake_complete` stay; there is nothing to send.
        """
        if self._records is not None:
            self._records.release()
        self._negotiated = None
        self._forget()
        if self._failure is not None:
            self._failure.__traceback__ = None  # whose frames hold this object

    @property
    def handshake_complete(self) -> bool:
        """Whether the handshake has succeeded, whatever came after it."""
        return self._records is not None

    @property
    def group(self) -> str:
        """The key agreement group's IANA name, such as `X25519MLKEM768`."""
        return self._established().group

    @property
    def cipher(self) -> str:
        """The cipher suite's IANA name."""
        return self._established().cipher

    @property
    def version(self) -> str:
        """The protocol's version: `TLSv1.3`."""
        return self._established().version

    @property
    def alpn(self) -> str | None:
        """The application protocol agreed on, None if the client offered none."""
        return self._established().alpn

    @property
    def server_name(self) -> str | None:
        """The name that the client asked for (RFC 6066 §3), as it wrote it; None if it gave none."""
        return self._established().server_name

    def exporter(self) -> bytes:
        """Give the channel binding `tls-exporter` of RFC 9266: 32 bytes, equal at both ends and nowhere else."""
        return self._established().exporter

    def peer_certificate_der(self) -> bytes | None:
        """Give the certificate that the peer showed and we accepted, None if it showed none."""
        return self._established().certificate_der

    def peer_chain_der(self) -> tuple[bytes, ...]:
        """Give the certificates that the peer sent, its own first, whether or not they lead anywhere."""
        return self._established().chain_der

    def _shake_hands(self, data: bytes) -> bytes:
        """Advance the handshake, no further than to its end; give what is left of `data` when it completes."""
        if self._failure is not None:
            raise self._failure
        connection, pipe = self._connection, self._pipe
        if connection is None or pipe is None:
            raise ApiMisuse("TLS: the connection was released within its handshake")
        allowed = data[: HANDSHAKE_BYTES - self._handshake_bytes]
        self._handshake_bytes += len(data)
        taken = 0
        while True:
            taken = pipe.feed_flight(allowed, taken)
            outcome = pipe.handshake()
            if outcome is Outcome.DONE:
                self._complete(connection, pipe)
                return data[taken:]
            if outcome is not Outcome.WANTS_BYTES:
                raise self._fail(self._describe(pipe))
            if taken == len(allowed):
                break
        if self._handshake_bytes > HANDSHAKE_BYTES:
            text = f"the peer sent more than {HANDSHAKE_BYTES} bytes without completing a TLS handshake"
            raise self._fail(TlsError(TlsReason.HANDSHAKE_TOO_LARGE, text))
        return b""

    def _complete(self, connection: SSL.Connection, pipe: RecordPipe) -> None:
        """Decide who carries data: OpenSSL, or a core of our own, and nothing of OpenSSL's stays."""
        context = self._context
        self._negotiated = Negotiated.of(connection)
        traffic = None
        if context.records is RecordLayer.OWN:
            is_server = context.role is Role.SERVER
            traffic = hand_over(connection, pipe, is_server=is_server)
            if traffic is not None:
                self._records = RecordCore(traffic, is_server=is_server, pq=context.pq.value)
        self._records = self._records or OpenSslRecords(pipe, context.pq)
        self._wipe_secrets()
        if traffic is not None:
            self._forget()

    def _forget(self) -> None:
        """Let go of OpenSSL's connection."""
        self._wipe_secrets()
        self._connection = self._pipe = None

    def _wipe_secrets(self) -> None:
        """Overwrite secrets that nobody took over."""
        connection = self._connection
        if connection is not None and isinstance(kept := connection.get_app_data(), TrafficSecrets):
            kept.wipe()
            connection.set_app_data(None)

    def _describe(self, pipe: RecordPipe) -> TlsError:
        """Name what OpenSSL has just refused."""
        fault = take_fault()
        if fault.text == "certificate verify failed":
            code, words = pipe.verify_result()
            return certificate_refused(code, words, self._context.host)
        return tls_error(fault, self._context.pq)

    def _fail(self, failure: TlsError) -> TlsError:
        self._failure = failure
        self._wipe_secrets()
        return failure

    def _established(self) -> Negotiated:
        if self._records is not None and self._negotiated is None:
            raise ApiMisuse("TLS: of a connection that was released nothing is known any more")
        return self._negotiated or self._too_early()

    def _too_early(self) -> NoReturn:
        raise ApiMisuse("TLS: nothing is known and nothing can be sent before the handshake is complete")
