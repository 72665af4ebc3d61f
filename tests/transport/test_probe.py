import time

from cryptography.hazmat.primitives.serialization import Encoding

from sottovoce.pki.identities import throwaway_identity
from sottovoce.transport import PqPolicy, TlsCore, server_context
from sottovoce.transport.probe import handshake_seen, openssl_version, probing_context


def test_it_tells_what_a_server_negotiates_and_shows_whoever_vouches_for_it() -> None:
    identity = throwaway_identity(time.time())
    client = TlsCore(probing_context("voice.example"))
    server = TlsCore(server_context(identity, pq=PqPolicy.PREFER))
    while not (client.handshake_complete and server.handshake_complete):
        server.receive(client.to_send())
        client.receive(server.to_send())
    seen = handshake_seen(client)
    assert (seen.version, seen.group) == ("TLSv1.3", "X25519MLKEM768")
    assert seen.cipher.startswith("TLS_")
    assert seen.chain == (identity.certificate.public_bytes(Encoding.DER),)
    assert server.server_name == "voice.example"


def test_openssl_has_a_version() -> None:
    assert openssl_version()[0].isdigit()
