"""Protocol §3, §4, §6: signing keys and outer certificates as credentials."""

import hashlib
from typing import Any

import msgspec
import pytest

from sottovoce.primitives import PublicKey, Secret, SignatureAlgorithm, Signer
from sottovoce.session import (
    Carriage,
    Credential,
    CredentialShown,
    Established,
    Identity,
    Possession,
    ServerConfig,
    ShownCredential,
)
from sottovoce.wire import Code
from tests.session.dialogue import (
    CARRIAGE,
    Credentials,
    Pair,
    client_config,
    flipped,
    make_client,
    make_server,
    replacing,
)
from tests.session.foreign_bytes import message, tlvs_of, u, with_tlv
from tests.session.keys import Ed25519Signer, P384Signer, mldsa
from tests.session.meeting import AtClient, AtServer, code_of, end_of

DER = b"0\x82the certificate of alice, as the outer TLS had it"
DIGEST = hashlib.sha256(DER).digest()
WITH_PEER = msgspec.structs.replace(CARRIAGE, peer_certificate=DER)
SMALL_ORDER = [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"]


def signer_of(algorithm: SignatureAlgorithm) -> Signer:
    match algorithm:
        case SignatureAlgorithm.ECDSA_P384:
            return P384Signer(0xA11CE)
        case SignatureAlgorithm.ED25519:
            return Ed25519Signer(b"\xa1" * 32)
        case _:
            return mldsa(algorithm, 0xA1)


ALICE = signer_of(SignatureAlgorithm.ED25519)


class Forger:
    """Shows a key, and whatever it calls a signature."""

    def __init__(self, public_key: PublicKey, signature: bytes = bytes(64)) -> None:
        self.public_key = public_key
        self.signature = signature

    def sign(self, message: bytes) -> bytes:
        return self.signature


class Judge(Credentials):
    """Knows keys, and looks at signatures; a certificate is believed."""

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        super().check(shown)
        if shown.possession is not None:
            return Identity("alice", kind=2) if shown.possession.holds() else Code.AUTH_FAILED
        return Identity("alice", kind=shown.kind)


def at_server(credential: tuple[int, bytes], *, carriage: Carriage = CARRIAGE, **options: Any) -> AtServer:
    """Our server after the flight of a foreign client that shows this."""
    judge = options.pop("judge", None) or Judge()
    config = {key: options.pop(key) for key in ("require_binding",) if key in options}
    client = {"credential": credential, "carriage": carriage} | options
    kinds = (0, 1, 2, 3)
    meeting = AtServer(
        established=False, credentials=judge, client=client, carriage=carriage, credential_kinds=kinds, **config
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    return meeting


def shown_by(signer: Signer) -> tuple[int, bytes]:
    key = signer.public_key
    return 2, u(key.algorithm, 2) + key.key


# Kind 2: a signing key


@pytest.mark.protocol("P3.21", "P3.22", "P4.18", "P6.19", "P6.18")
@pytest.mark.parametrize("algorithm", list(SignatureAlgorithm))
def test_a_foreign_client_with_a_key_of_each_algorithm(algorithm: SignatureAlgorithm) -> None:
    signer = signer_of(algorithm)
    meeting = at_server(shown_by(signer), signer=signer)
    assert code_of(meeting) is None
    (shown,) = meeting.credentials.shown
    assert shown.possession is not None
    assert shown.possession.key == signer.public_key
    established = meeting.events[-1]
    assert isinstance(established, Established)
    assert established.identity == Identity("alice", kind=2)


@pytest.mark.protocol("P3.21", "P3.22", "P4.18", "P6.19")
@pytest.mark.parametrize("algorithm", list(SignatureAlgorithm))
def test_our_client_signs_for_its_key(algorithm: SignatureAlgorithm) -> None:
    """What a foreign server finds: the key, and a signature over the label and T(ClientCredential)."""
    signer = signer_of(algorithm)
    meeting = AtClient(credential=Credential(2, signer=signer))
    params, credential, verify, _ = meeting.peer.client_messages
    assert tlvs_of(credential[4:]) == {1: b"\x02", 2: signer.public_key.encoded}
    signature = tlvs_of(verify[4:])[1]
    assert signature[:2] == u(algorithm, 2)
    until = meeting.peer.seen[: meeting.peer.seen.index(params) + len(params) + len(credential)]
    signed = b"sottovoce.v1 client verify\x00" + hashlib.sha384(until).digest()
    assert signer.public_key.verify(signed, signature[2:])


@pytest.mark.protocol("P4.18")
def test_two_ends_of_ours_agree_on_a_key() -> None:
    judge = Judge()
    server = make_server(ServerConfig(credential_kinds=(2,)), credentials=judge)
    pair = Pair(make_client(client_config(credential=Credential(2, signer=ALICE))), server).run()
    assert pair.client.is_open
    assert pair.server.is_open
    pair.voice(up=1, down=1)


@pytest.mark.protocol("P4.18", "P4.20", "P10.2")
def test_a_signature_that_is_not_over_this_handshake() -> None:
    """Of another key, of the server's label, of nothing: the judge sees each as what it is."""
    other = Ed25519Signer(b"\xb0" * 32)
    for signature in (bytes(64), other.sign(b"x"), ALICE.sign(b"sottovoce.v1 client verify\x00" + bytes(48)), b""):
        meeting = at_server(shown_by(ALICE), signer=Forger(ALICE.public_key, signature))
        assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P4.18", "P11.7")
def test_a_clients_signature_is_of_no_use_in_another_session() -> None:
    heard: list[bytes] = []

    def listen(_: str, made: bytes) -> bytes:
        if made[0] == 10:
            heard.append(tlvs_of(made[4:])[1][2:])
        return made

    assert code_of(at_server(shown_by(ALICE), signer=ALICE, edit=listen)) is None
    assert code_of(at_server(shown_by(ALICE), signer=Forger(ALICE.public_key, heard[0]))) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.18", "P4.20")
def test_a_signature_of_another_algorithm_than_the_key() -> None:
    """The number alone is wrong, and the judge is not asked."""

    def relabel(made: bytes) -> bytes:
        return with_tlv(made, 1, u(SignatureAlgorithm.ECDSA_P384, 2) + tlvs_of(made[4:])[1][2:])

    meeting = at_server(shown_by(ALICE), signer=ALICE, edit=replacing("ClientVerify", relabel))
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.credentials.asked == []


@pytest.mark.protocol("P6.19", "P6.20", "P4.20")
@pytest.mark.parametrize("key", [*SMALL_ORDER, bytes(31), bytes(33), b""])
def test_a_key_of_small_order_or_of_another_length_is_refused(key: bytes) -> None:
    forger = Forger(PublicKey(SignatureAlgorithm.ED25519, key))
    meeting = at_server(shown_by(forger), signer=forger)
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.credentials.asked == []


@pytest.mark.protocol("P6.19", "P4.20")
def test_a_point_off_the_curve_is_no_clients_key() -> None:
    forger = Forger(PublicKey(SignatureAlgorithm.ECDSA_P384, b"\x04" + b"\x01" * 96), bytes(96))
    meeting = at_server(shown_by(forger), signer=forger)
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.credentials.asked == []


@pytest.mark.protocol("P3.21", "P6.19")
@pytest.mark.parametrize("value", [b"", b"\x08", u(0x0804, 2) + bytes(32), u(0x0403, 2) + bytes(65)])
def test_a_key_without_an_algorithm_that_is_known(value: bytes) -> None:
    assert code_of(at_server((2, value), signer=ALICE)) == Code.BAD_RECORD


@pytest.mark.protocol("P3.22", "P3.20")
def test_client_verify_and_a_signing_key_come_together() -> None:
    assert code_of(at_server(shown_by(ALICE))) == Code.BAD_RECORD
    for credential in ((0, b""), (1, b"token"), (3, DIGEST)):
        assert code_of(at_server(credential, signer=ALICE, carriage=WITH_PEER)) == Code.BAD_RECORD
    cut = at_server(shown_by(ALICE), signer=ALICE, edit=replacing("ClientVerify", message(10, t1=b"\x08")))
    assert code_of(cut) == Code.BAD_RECORD


@pytest.mark.protocol("P4.20", "P3.10")
def test_a_key_where_the_server_does_not_list_its_kind() -> None:
    meeting = AtServer(
        established=False, client={"credential": shown_by(ALICE), "signer": ALICE}, credential_kinds=(0, 1, 3)
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.credentials.asked == []
    ours = AtClient(established=False, server={"t7": b"\x00\x01\x03"}, credential=Credential(2, signer=ALICE))
    ours.take(ours.peer.hello())
    ours.take(ours.peer.flight())
    assert code_of(ours) == Code.POLICY
    assert ours.ours.to_send() == [], "nothing was signed"


@pytest.mark.protocol("P3.10")
def test_who_shows_none_where_one_is_wanted_is_told_so() -> None:
    ours = AtClient(established=False, server={"t7": b"\x01\x03"}, credential=Credential(0))
    ours.take(ours.peer.hello())
    ours.take(ours.peer.flight())
    assert code_of(ours) == Code.POLICY
    end = end_of(ours)
    assert end is not None
    assert "shows no credential" in end.reason


@pytest.mark.protocol("P4.18", "P3.23")
def test_any_bit_of_credential_and_signature_turned() -> None:
    """Changed after the client's mac was made: on the way nothing gets in between."""
    for name in ("ClientCredential", "ClientVerify"):
        for index in (4, 10, 40):
            meeting = at_server(shown_by(ALICE), signer=ALICE, edit=replacing(name, _turning(index)))
            assert code_of(meeting) in {Code.AUTH_FAILED, Code.BAD_RECORD}


def _turning(index: int) -> Any:
    return lambda made: flipped(made, index)


# Kind 3: the certificate of the outer TLS


@pytest.mark.protocol("P3.21", "P4.19")
def test_the_certificate_that_the_carriage_authenticated() -> None:
    meeting = at_server((3, DIGEST), carriage=WITH_PEER)
    assert code_of(meeting) is None
    (shown,) = meeting.credentials.shown
    assert shown.certificate == DER


@pytest.mark.protocol("P4.19", "P4.20")
@pytest.mark.parametrize("value", [hashlib.sha256(b"another").digest(), flipped(DIGEST, 31), DIGEST[:31], b"", DER])
def test_another_certificate_than_the_outer_one(value: bytes) -> None:
    meeting = at_server((3, value), carriage=WITH_PEER)
    assert code_of(meeting) == Code.AUTH_FAILED
    assert meeting.credentials.asked == []


@pytest.mark.protocol("P4.19", "P4.20")
def test_a_carriage_that_authenticated_nobody() -> None:
    for value in (DIGEST, hashlib.sha256(b"").digest(), b""):
        assert code_of(at_server((3, value))) == Code.AUTH_FAILED


@pytest.mark.protocol("P4.19")
def test_an_outer_certificate_without_a_binding() -> None:
    """The certificate is the carriage's, so the session has to be bound to that carriage."""
    meeting = at_server((3, DIGEST), carriage=WITH_PEER, binding_type=0, require_binding=False)
    assert code_of(meeting) == Code.AUTH_FAILED
    assert code_of(at_server((0, b""), carriage=WITH_PEER, binding_type=0, require_binding=False)) is None


@pytest.mark.protocol("P4.13", "P4.14")
def test_an_outer_certificate_gives_no_identity_by_itself() -> None:
    meeting = at_server((0, b""), carriage=WITH_PEER)
    (shown,) = meeting.credentials.shown
    assert (shown.kind, shown.certificate) == (0, None)


@pytest.mark.protocol("P3.21", "P4.19")
def test_our_client_names_its_certificate() -> None:
    digest = bytes(DIGEST)
    meeting = AtClient(credential=Credential(3, certificate_sha256=digest))
    _, credential, _ = meeting.peer.client_messages
    assert tlvs_of(credential[4:]) == {1: b"\x03", 2: hashlib.sha256(DER).digest()}
    assert digest == hashlib.sha256(DER).digest(), "the configuration's own bytes are not overwritten"


# Verdicts that take their time


def test_nothing_of_a_credential_shows_in_a_repr() -> None:
    shown = ShownCredential(1, b"a secret token", b"host", b"/", Possession(ALICE.public_key, b"s", b"t"))
    for thing in (shown, CredentialShown(shown), Credential(1, Secret("token", b"a secret token"))):
        assert "secret token" not in repr(thing)
