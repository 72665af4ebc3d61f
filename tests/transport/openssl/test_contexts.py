import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from sottovoce.transport import (
    CurrentContext,
    PqPolicy,
    TlsCore,
    TlsIdentity,
    TransportMisconfigured,
    client_context,
    server_context,
)
from sottovoce.transport.openssl import contexts
from tests.transport.certificates import HOST, Authority, authority, leaf, pem_of
from tests.transport.ends import client, server, shake_hands


def pem_key(key: PrivateKeyTypes, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def serves(identity: TlsIdentity) -> bool:
    ours, theirs = TlsCore(client()), TlsCore(server_context(identity, pq=PqPolicy.PREFER))
    shake_hands(ours, theirs)
    return ours.handshake_complete and theirs.handshake_complete


def test_an_identity_from_pem_text() -> None:
    identity = Authority("Issuing", authority()).issue(HOST)
    again = TlsIdentity.from_pem(*pem_of(identity))
    assert again.certificate == identity.certificate
    assert again.chain == identity.chain
    assert serves(again)


def test_the_repr_of_an_identity_holds_no_key() -> None:
    identity = leaf()
    secret = identity.key.private_numbers().private_value if isinstance(identity.key, ec.EllipticCurvePrivateKey) else 0
    assert repr(identity) == f"TlsIdentity(serial={identity.certificate.serial_number:x}, chain=0)"
    assert f"{secret:x}" not in repr(identity)


def test_a_key_of_another_certificate() -> None:
    with pytest.raises(TransportMisconfigured, match="does not belong"):
        TlsIdentity(leaf().certificate, ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (b"", "cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
        (pem_key(ec.generate_private_key(ec.SECP256R1()), b"password"), "unencrypted"),
        (pem_key(ed448.Ed448PrivateKey.generate()), "use ECDSA P-256"),
    ],
    ids=["empty", "junk", "encrypted", "ed448"],
)
def test_keys_that_are_not_taken(key: bytes, words: str) -> None:
    with pytest.raises(TransportMisconfigured, match=words):
        TlsIdentity.from_pem(pem_of(leaf())[0], key)


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_files_without_a_certificate_are_named(pem: bytes) -> None:
    with pytest.raises(TransportMisconfigured, match="the TLS certificate file holds no readable certificate"):
        TlsIdentity.from_pem(pem, pem_of(leaf())[1])
    with pytest.raises(TransportMisconfigured, match="the CA file holds no readable certificate"):
        client_context(HOST, pq=PqPolicy.PREFER, ca_pem=pem)
    with pytest.raises(TransportMisconfigured, match="the file of client CAs holds no readable certificate"):
        server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=pem)


def test_a_leaf_that_openssl_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object, _key: object) -> None:
        raise SSL.Error

    monkeypatch.setattr(SSL.Context, "use_privatekey", refuse)
    with pytest.raises(TransportMisconfigured, match="use ECDSA P-256"):
        server()


def test_groups_that_this_openssl_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contexts._GROUPS, PqPolicy.PREFER, "X25519MLKEM769")
    with pytest.raises(TransportMisconfigured, match=r"X25519MLKEM769: install the versions of requirements\.lock"):
        server()


@pytest.mark.parametrize("host", ["", ".", "a b", "höst", "a/b", "user@a", "[::1]", "a:443", "a\0b"])
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(TransportMisconfigured, match="the host"):
        client(host=host)


def test_a_host_that_openssl_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "require_host", lambda _context, _host: False)
    with pytest.raises(TransportMisconfigured, match="plain DNS form"):
        client()


def test_the_cas_of_the_system_do_not_trust_ours() -> None:
    context = client_context(HOST, pq=PqPolicy.PREFER, ca_pem=None)
    assert context.host == HOST
    ours, theirs = TlsCore(context), TlsCore(server())
    theirs.receive(ours.to_send())
    with pytest.raises(Exception, match="leads to no CA that is trusted here"):
        ours.receive(theirs.to_send())


def test_a_wildcard_stands_for_one_whole_label() -> None:
    def accepted(name: str, host: str) -> bool:
        ours = TlsCore(client(host=host))
        theirs = TlsCore(server_context(authority().issue(name), pq=PqPolicy.PREFER))
        theirs.receive(ours.to_send())
        try:
            ours.receive(theirs.to_send())
        except Exception:  # noqa: BLE001  # which one is test_tls's question
            return False
        return True

    assert accepted("*.example.com", "voice.example.com")
    assert not accepted("*.example.com", "a.voice.example.com")
    assert not accepted("*.example.com", "example.com")
    assert not accepted("v*.example.com", "voice.example.com")


@pytest.mark.parametrize(
    "key", [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65_537, 2_048)], ids=["ed25519", "rsa"]
)
def test_other_kinds_of_key_are_loaded(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> None:
    with pytest.raises(TransportMisconfigured, match="does not belong"):
        TlsIdentity.from_pem(pem_of(leaf())[0], pem_key(key))


def test_a_new_certificate_leaves_old_connections_alone() -> None:
    current = CurrentContext(server())
    before = TlsCore(current.context)
    renewed = authority().issue(HOST)
    current.replace(server_context(renewed, pq=PqPolicy.PREFER))
    after = TlsCore(current.context)
    for theirs, identity in ((before, leaf()), (after, renewed)):
        ours = TlsCore(client())
        shake_hands(ours, theirs)
        assert ours.peer_certificate_der() == identity.certificate.public_bytes(Encoding.DER)
