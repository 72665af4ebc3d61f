"""What we want of TLS: version 1.3 alone, no resumption, named groups, checked names.

A context is made whole and never changed; a new certificate means a new context (`CurrentContext`), and connections
made from the old one live on with it.  Not here: the connections themselves (`tls`) and their keys' life (`pki`).

No resumption: it saves nothing here (the key agreement costs more than the P-256 signature that it would spare), and
tickets could not be shared between workers.  OpenSSL forbids it only with both settings made below, and even so a
server writes two tickets (158 bytes) that nothing remembers: the call that sets their number is not exposed.
"""

import ipaddress
from collections.abc import Callable, Sequence
from enum import Enum, StrEnum
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from sottovoce.transport.errors import TransportMisconfigured
from sottovoce.transport.openssl.binding import require_host, select_alpn, set_groups, tell_secrets
from sottovoce.transport.openssl.handover import TrafficSecrets, keep_secret

TlsKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey
"""The kinds of key that TLS certificates here may have; our own leaves have ECDSA P-256."""

KeyLog = Callable[[bytes], None]
"""Takes one line of the NSS key log format, which opens a recorded connection: for tests alone."""

_CIPHERS: Final = b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
_OPTIONS: Final = SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE


class PqPolicy(StrEnum):
    """Whether post-quantum key agreement is demanded, preferred or not used."""

    REQUIRE = "require"
    PREFER = "prefer"
    OFF = "off"

    @property
    def groups(self) -> str:
        """The groups in OpenSSL's words.

        The slash makes an order of preference: with a colon a client that supports ML-KEM but sent only an X25519
        share would get X25519, with the slash it gets HelloRetryRequest.
        """
        return _GROUPS[self]


_GROUPS: Final = {
    PqPolicy.REQUIRE: "X25519MLKEM768/SecP384r1MLKEM1024",
    PqPolicy.PREFER: "X25519MLKEM768/SecP384r1MLKEM1024/X25519:secp384r1:secp256r1",
    PqPolicy.OFF: "X25519:secp384r1:secp256r1",
}


class RecordLayer(StrEnum):
    """Who encrypts and decrypts once the handshake, always OpenSSL's, is over."""

    OWN = "own"
    OPENSSL = "openssl"


class Role(Enum):
    """Which end of a connection."""

    SERVER = "server"
    CLIENT = "client"


class TlsIdentity:
    """A certificate with its private key and the certificates that lead from it to the root."""

    __slots__ = ("certificate", "chain", "key")

    def __init__(self, certificate: x509.Certificate, key: TlsKey, chain: Sequence[x509.Certificate] = ()) -> None:
        if certificate.public_key() != key.public_key():
            raise TransportMisconfigured(
                "the private key does not belong to the TLS certificate: give the pair together"
            )
        self.certificate = certificate
        self.key = key
        self.chain = tuple(chain)

    @property
    def certificate_sha256(self) -> bytes:
        """SHA-256 of the certificate's DER."""
        return self.certificate.fingerprint(SHA256())

    def __repr__(self) -> str:
        return f"TlsIdentity(serial={self.certificate.serial_number:x}, chain={len(self.chain)})"

    @classmethod
    def from_pem(cls, certificates: bytes, key: bytes) -> Self:
        """Read PEM text: the certificate first, then its chain; the key unencrypted."""
        first, *chain = load_certificates(certificates, "the TLS certificate file")
        return cls(first, _load(load_pem_private_key, key), chain)


class TlsContext:
    """Settings that any number of connections are made from.  Made by `server_context` and `client_context`."""

    __slots__ = ("_openssl", "host", "pq", "records", "role")

    def __init__(
        self,
        openssl: SSL.Context,
        role: Role,
        pq: PqPolicy,
        host: str | None,
        records: RecordLayer = RecordLayer.OPENSSL,
    ) -> None:
        self._openssl = openssl
        self.records = records
        self.role = role
        self.pq = pq
        self.host = host
        """The name or address that a client demands in the server's certificate; None for a server."""

    def new_connection(self) -> SSL.Connection:
        """Make a connection on memory BIOs, its role and server name set, no byte exchanged."""
        connection = SSL.Connection(self._openssl, None)
        if self.records is RecordLayer.OWN:
            connection.set_app_data(TrafficSecrets())
        if self.role is Role.SERVER:
            connection.set_accept_state()
            return connection
        connection.set_connect_state()
        if self.host is not None and isinstance(_name_or_address(self.host), str):
            connection.set_tlsext_host_name(self.host.encode("ascii"))  # an address is no server name: RFC 6066 §3
        return connection


class CurrentContext:
    """The server context that new connections take, replaced as a whole when its certificate is renewed."""

    __slots__ = ("context",)

    def __init__(self, context: TlsContext) -> None:
        self.context = context

    def replace(self, context: TlsContext) -> None:
        """Let connections from now on use `context`; those already made keep the one they have."""
        self.context = context


def server_context(  # noqa: PLR0913  each by its name
    identity: TlsIdentity,
    *,
    pq: PqPolicy,
    request_client_certificate: bool = False,
    client_ca_pem: bytes | None = None,
    records: RecordLayer = RecordLayer.OWN,
    key_log: KeyLog | None = None,
) -> TlsContext:
    """Make a server's settings.

    With `client_ca_pem` a client must show a certificate that leads to one of these.  With `request_client_certificate`
    it may show one, and proves in the handshake that it has its key (RFC 8446 §4.4.3); whose it is, what vouches for
    it and whether it is still good, the caller judges.
    """
    context = _context(SSL.TLS_SERVER_METHOD, pq.groups, key_log, records)
    select_alpn(context)
    _use(context, identity)
    if client_ca_pem is not None:
        _trust(context, client_ca_pem, "the file of client CAs")
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    elif request_client_certificate:
        context.set_verify(SSL.VERIFY_PEER, _accept_for_judgement)
    return TlsContext(context, Role.SERVER, pq, None, records)


def client_context(  # noqa: PLR0913  each by its name
    host: str,
    *,
    pq: PqPolicy,
    ca_pem: bytes | None,
    identity: TlsIdentity | None = None,
    records: RecordLayer = RecordLayer.OPENSSL,
    key_log: KeyLog | None = None,
) -> TlsContext:
    """Make a client's settings for one host.

    `host` is a DNS name in A-label form or an IP address without brackets; the server's certificate must name it and
    lead to a CA of `ca_pem`, or with None to one that the system trusts.  `identity` is shown to a server that asks.
    """
    wanted = _name_or_address(host)
    context = _context(SSL.TLS_CLIENT_METHOD, pq.groups, key_log, records)
    context.set_alpn_protos([b"http/1.1"])
    if ca_pem is None:
        context.set_default_verify_paths()
    else:
        _trust(context, ca_pem, "the CA file")
    if not require_host(context, wanted):
        raise TransportMisconfigured("the host name cannot be checked against a certificate: give its plain DNS form")
    context.set_verify(SSL.VERIFY_PEER)
    if identity is not None:
        _use(context, identity)
    return TlsContext(context, Role.CLIENT, pq, str(wanted), records)


def probe_context(groups: str, host: str | None = None) -> TlsContext:
    """Make a client that checks no certificate: for the self-test, whose ends are both here, and to look at a server.

    `host` is the name that the server is asked for.
    """
    return TlsContext(_context(SSL.TLS_CLIENT_METHOD, groups), Role.CLIENT, PqPolicy.PREFER, host)


def load_certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    """Read one or more PEM certificates; `what` names the place in the error."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise TransportMisconfigured(f"{what} holds no readable certificate: it must be PEM text") from None


def _context(
    method: int, groups: str, key_log: KeyLog | None = None, records: RecordLayer = RecordLayer.OPENSSL
) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_tls13_ciphersuites(_CIPHERS)
    context.set_options(_OPTIONS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 4 instead of 58 KiB for an idle connection, at no measured cost
    if not set_groups(context, groups):
        raise TransportMisconfigured(
            f"this OpenSSL does not know the groups {groups}: install the versions of requirements.lock"
        )
    if key_log is not None or records is RecordLayer.OWN:
        tell_secrets(context, keep_secret, key_log)
    return context


def _accept_for_judgement(*_: object) -> bool:
    """Let the chain pass unseen; OpenSSL checks the proof of possession all the same, and no callback can waive it."""
    return True


def _use(context: SSL.Context, identity: TlsIdentity) -> None:
    try:
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.key)
        for certificate in identity.chain:
            context.add_extra_chain_cert(certificate)
    except SSL.Error:
        raise TransportMisconfigured("OpenSSL does not take the TLS certificate or its key: use ECDSA P-256") from None


def _trust(context: SSL.Context, ca_pem: bytes, what: str) -> None:
    store = context.get_cert_store()
    for certificate in load_certificates(ca_pem, what):
        if store is not None:
            store.add_cert(crypto.X509.from_cryptography(certificate))


def _name_or_address(host: str) -> str | ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    name = host.removesuffix(".").lower()
    if not name or not name.isascii() or any(not (each.isalnum() or each in "-._") for each in name):
        raise TransportMisconfigured(
            "the host is neither a DNS name in ASCII form nor an IP address without brackets: write it as one"
        )
    return name


def _load(load: Callable[[bytes, None], PrivateKeyTypes], encoded: bytes) -> TlsKey:
    try:
        key = load(encoded, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TransportMisconfigured("the TLS private key cannot be read: it must be unencrypted PEM or DER") from None
    if not isinstance(key, TlsKey):
        raise TransportMisconfigured("the TLS private key is of a kind that is not served: use ECDSA P-256")
    return key
