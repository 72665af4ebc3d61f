"""The known answers of `sottovoce.v1` (tests/vectors/sottovoce.v1/kat.json, an independent implementation in Go).

`inputs.md` beside the file spells out the inputs.  Some are no legal objects, so the pure functions are called.
"""

from collections.abc import Callable

import pytest

from sottovoce.primitives import Cipher, PublicKey, Secret, SignatureAlgorithm, Suite, labelled, sframe_derive
from sottovoce.session import anchor_id, handshake_leaf, merkle_root, rekey_leaf
from sottovoce.session.handshake import (
    HandshakeSecrets,
    Transcript,
    epoch_secrets,
    finished_mac,
    first_root,
    handshake_secrets,
    next_root,
    next_transcript,
    prologue,
    seal_flight,
)
from sottovoce.session.ratchet import SendChain
from sottovoce.wire import MAX_RECORD_BYTES, FrameType, MessageType, frames
from sottovoce.wire.messages import RekeyShare
from tests.vector_report import VectorRun

Answers = dict[str, bytes]

_T_SERVER_HELLO, _TH_1 = b"\x71" * 48, b"\x72" * 48
_PROLOGUE = prologue(1, b"\xb1" * 32, b"voice.example.com:8443", b"/v1/voice/echo?x=1")
_MESSAGE = bytes.fromhex("010000050100020001")
_GROUP = 0x11EC
_PING = bytes.fromhex("0102030405060708")


def _bytes(secret: Secret) -> bytes:
    return bytes(secret.expose())


def _handshake(psk: bytes | None) -> HandshakeSecrets:
    secret = Secret("psk", psk) if psk else None
    return handshake_secrets(Secret("hybrid", b"\x51" * 64), secret, _T_SERVER_HELLO)


def _root(psk: bytes | None) -> Secret:
    return first_root(_handshake(psk).master_salt, _TH_1)


def _of_transcripts() -> Answers:
    whole, replaced = Transcript(_PROLOGUE), Transcript(_PROLOGUE)
    whole.add(_MESSAGE)
    replaced.replace_first(_MESSAGE)
    return {
        "prologue (binding type 1, binding b1*32, voice.example.com:8443, /v1/voice/echo?x=1)": _PROLOGUE,
        "T(message 01 with TLV 1 = 0001)": whole.digest(),
        "T(the same, replaced by the synthetic message)": replaced.digest(),
    }


def _of_the_handshake() -> Answers:
    answers: Answers = {}
    for psk, name in ((None, "no psk"), (b"\xa5" * 48, "psk a5*48")):
        secrets = _handshake(psk)
        answers[f"c_hs ({name}, T(ServerHello) 71*48)"] = _bytes(secrets.client)
        answers[f"s_hs ({name}, T(ServerHello) 71*48)"] = _bytes(secrets.server)
        answers[f"root[1] ({name}, TH[1] 72*48)"] = _bytes(_root(psk))
    server = _handshake(None).server
    answers["sealed record of 'abcdefgh' under s_hs, AES"] = seal_flight(server, Cipher.AES_256_GCM, b"abcdefgh")
    answers["sealed record of 'abcdefgh' under s_hs, ChaCha"] = seal_flight(
        server, Cipher.CHACHA20_POLY1305, b"abcdefgh"
    )
    answers["finished mac under s_hs over T 73*48"] = finished_mac(server, b"\x73" * 48)
    return answers


def _of_epochs() -> Answers:
    root = _bytes(_root(None))
    first = epoch_secrets(Secret("root", root), _TH_1)
    init = RekeyShare(2, _GROUP, b"\x01" * 1216).encode(MessageType.REKEY_INIT)
    response = RekeyShare(2, _GROUP, b"\x02" * 1120).encode(MessageType.REKEY_RESPONSE)
    transcript = next_transcript(_TH_1, init, response)
    return {
        "base_c2s epoch 1": _bytes(first.client_to_server),
        "base_s2c epoch 1": _bytes(first.server_to_client),
        "base_c2s epoch 1 generation 1": _bytes(
            sframe_derive(first.client_to_server, b"SFrame 1.0 Ratchet", 64, "base")
        ),
        "ticket psk": _bytes(first.resumption),
        "TH[2] (shares 01*1216, 02*1120)": transcript,
        "root[2] (hybrid 52*64)": _bytes(next_root(first.rekey, Secret("hybrid", b"\x52" * 64), transcript)),
        "rekey leaf (certificate 63*100)": rekey_leaf(transcript, b"\x63" * 100),
    }


def _of_records() -> Answers:
    answers: Answers = {}
    for suite, name in ((Suite.X25519MLKEM768_AES256GCM, "AES"), (Suite.X25519MLKEM768_CHACHA20POLY1305, "ChaCha")):
        chain = SendChain(epoch_secrets(_root(None), _TH_1).client_to_server, 1, suite, 1000)
        ping = frames.encode_plaintext(FrameType.PING, _PING, frames.PADDING_BUCKETS, MAX_RECORD_BYTES)
        answers[f"first c2s record, ping 0102030405060708, class 1, {name}"] = chain.seal(ping)
        chain = SendChain(epoch_secrets(_root(None), _TH_1).client_to_server, 1, suite, 16)
        cover = frames.encode_plaintext(FrameType.COVER, b"", frames.PADDING_NONE, MAX_RECORD_BYTES)
        records = [chain.seal(cover) for _ in range(19)]
        answers[f"19th c2s record (generation 1, CTR 2; 16 per key), cover, class 0, {name}"] = records[-1]
    return answers


def _of_identities() -> Answers:
    leaf = handshake_leaf(_T_SERVER_HELLO)
    classical = PublicKey(SignatureAlgorithm.ECDSA_P384, b"\x04" + b"\x61" * 96)
    pq = PublicKey(SignatureAlgorithm.MLDSA87, b"\x62" * 2592)
    return {
        "handshake leaf of T 71*48": leaf,
        "Merkle root (path 11*48 right, 12*48 left)": merkle_root(leaf, (b"\x11" * 48, b"\x12" * 48), (0, 1)),
        "anchor id (0503 04 61*96, 0906 62*2592)": anchor_id(classical, pq),
    }


@pytest.mark.protocol("P4.1", "P5.1", "P5.3", "P5.4", "P5.5", "P5.6", "P5.8", "P5.10", "P5.14", "P5.15")
@pytest.mark.protocol("P6.5", "P6.32", "P6.36", "P8.2", "P8.3", "P8.6", "P8.7", "P8.8", "P9.1", "P9.29")
def test_known_answers(vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("sottovoce.v1/kat.json") as run:
        expected: dict[str, str] = run.load()
        ours = _of_transcripts() | _of_the_handshake() | _of_epochs() | _of_records() | _of_identities()
        for name, value in ours.items():
            run.check(name, value.hex() == expected[name], positive=True)
        # HS never leaves the library in ours: the file's HS must lead where our derivation leads.
        for psk, name in ((None, "HS (no psk, hybrid 51*64)"), (b"\xa5" * 48, "HS (psk a5*48, hybrid 51*64)")):
            theirs = labelled(Secret("HS", bytes.fromhex(expected[name])), "c hs", _T_SERVER_HELLO)
            run.check(name, theirs == _handshake(psk).client, positive=True)
        assert run.run == len(expected) == 28
