"""Every secret of protocol §5, against the second implementation in tests/vectors/sottovoce.v1/.

Twice: the project's functions against intermediate.json, and the file against `reference.py`, which wrote it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from sottovoce.primitives import (
    ZERO_SECRET,
    PublicKey,
    Secret,
    SignatureAlgorithm,
    Suite,
    extract_labelled,
    labelled,
    sframe_derive,
    sha384,
)
from sottovoce.session import LeafKind, anchor_id, handshake_leaf, merkle_root, rekey_leaf, signed_root
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
)
from sottovoce.session.ratchet import key_id
from sottovoce.wire import MessageType, messages, sframe
from tests.session.foreign_bytes import ref
from tests.vector_report import VectorRun

Values = dict[str, bytes]
Begin = Callable[[str], VectorRun]

_FILE = "sottovoce.v1/intermediate.json"
_SERVER_FLIGHT = ("ServerParams", "ServerCertificate", "ServerVerify", "ServerFinished")
_CLIENT_FLIGHT = ("ClientParams", "ClientCredential", "ClientFinished")


def _bytes(secret: Secret) -> bytes:
    return bytes(secret.expose())


def _values(part: Any) -> tuple[Values, Values]:
    given, expected = part["inputs"], part["outputs"]
    return (
        {name: bytes.fromhex(value) for name, value in given.items()},
        {name: bytes.fromhex(value) for name, value in expected.items()},
    )


def _until_server_hello(given: Values) -> tuple[Transcript, Values]:
    opening = prologue(given["binding type"][0], given["binding"], given["authority"], given["path"])
    transcript = Transcript(opening)
    ours = {"prologue": opening}
    if "HelloRetry" in given:
        transcript.replace_first(given["first ClientHello"])
        ours["T(first ClientHello, as a synthetic message)"] = transcript.digest()
    for name in ("HelloRetry", "ClientHello", "ServerHello"):
        if name in given:
            transcript.add(given[name])
            ours[f"T({name})"] = transcript.digest()
    return transcript, ours


def _handshake(given: Values, ours: Values) -> HandshakeSecrets:
    """ES, HS and MS stay inside the library in ours; each shows in what is derived from it."""
    psk = Secret("psk", given["psk"]) if "psk" in given else None
    secrets = handshake_secrets(Secret("hybrid", given["hybrid secret"]), psk, ours["T(ServerHello)"])
    for side, secret in (("c", secrets.client), ("s", secrets.server)):
        ours[f"{side}_hs"] = _bytes(secret)
        ours[f"{side}_hs key"] = _bytes(labelled(secret, "key", b"", 32))
        ours[f"{side}_hs iv"] = _bytes(labelled(secret, "iv", b"", 12))
        ours[f"{side}_hs finished key"] = _bytes(labelled(secret, "finished", b""))
    return secrets


def _flights(given: Values, secrets: HandshakeSecrets, transcript: Transcript, ours: Values) -> None:
    made = {
        "ServerParams": given["ServerParams"],
        "ServerCertificate": messages.ServerCertificate(given["voice certificate"]).encode(),
        "ServerVerify": given["ServerVerify"],
        "ClientParams": given["ClientParams"],
        "ClientCredential": given["ClientCredential"],
    }
    for name in (*_SERVER_FLIGHT, *_CLIENT_FLIGHT):
        kind = {"ServerFinished": MessageType.SERVER_FINISHED, "ClientFinished": MessageType.CLIENT_FINISHED}.get(name)
        if kind is not None:
            secret = secrets.server if kind is MessageType.SERVER_FINISHED else secrets.client
            made[name] = messages.encode_finished(kind, finished_mac(secret, transcript.digest()))
        transcript.add(made[name])
        ours[name], ours[f"T({name})"] = made[name], transcript.digest()
    ours["leaf"] = handshake_leaf(ours["T(ServerCertificate)"])
    root = merkle_root(ours["leaf"], (given["Merkle node 1"], given["Merkle node 2"]), (0, 1))
    ours["Merkle root"], ours["server verify signed"] = root, signed_root(LeafKind.SERVER_VERIFY, root)


def _epoch(number: int, root: bytes, transcript: bytes, ours: Values) -> Secret:
    """Give rk[e]."""
    ours[f"root[{number}]"], ours[f"TH[{number}]"] = root, transcript
    secrets = epoch_secrets(Secret("root", root), transcript, has_datagrams=True)
    ours[f"base_c2s[{number}]"] = _bytes(secrets.client_to_server)
    ours[f"base_s2c[{number}]"] = _bytes(secrets.server_to_client)
    ours[f"rk[{number}]"] = _bytes(secrets.rekey)
    ours[f"ctl_c2s[{number}]"] = _bytes(secrets.control_client_to_server)
    ours[f"ctl_s2c[{number}]"] = _bytes(secrets.control_server_to_client)
    ours[f"res[{number}]"] = _bytes(secrets.resumption)
    return secrets.rekey


def _generations(name: str, epoch: int, suite: Suite, wanted: tuple[int, ...], ours: Values) -> None:
    base, number = Secret("base", ours[f"{name}[{epoch}]"]), suite.sframe_suite
    for generation in range(max(wanted) + 1):
        kid = key_id(epoch, generation)
        if generation in wanted:
            where = f"{name}[{epoch}] generation {generation}"
            suffix = kid.to_bytes(8) + number.to_bytes(2)
            salt = sframe_derive(base, b"SFrame 1.0 Secret salt " + suffix, 12, "salt")
            ours[where] = _bytes(base)
            ours[f"{where} suite {number:04x} key"] = _bytes(
                sframe_derive(base, b"SFrame 1.0 Secret key " + suffix, 32, "key")
            )
            ours[f"{where} suite {number:04x} salt"] = _bytes(salt)
            ours[f"{where} suite {number:04x} nonce of CTR 513"] = (int.from_bytes(_bytes(salt)) ^ 513).to_bytes(12)
            ours[f"{where} header of CTR 513"] = sframe.encode_header(kid, 513)
        base = sframe_derive(base, b"SFrame 1.0 Ratchet", 64, "base")


def _conversation(given: Values, suite: Suite) -> Values:
    transcript, ours = _until_server_hello(given)
    secrets = _handshake(given, ours)
    _flights(given, secrets, transcript, ours)
    first = ours["T(ClientFinished)"]
    rekey = _epoch(1, _bytes(first_root(secrets.master_salt, first)), first, ours)
    second = next_transcript(first, given["RekeyInit"], given["RekeyResponse"])
    hybrid = Secret("hybrid", given["hybrid secret of the step"])
    _epoch(2, _bytes(next_root(rekey, hybrid, second)), second, ours)
    ours["rekey leaf"] = rekey_leaf(second, given["voice certificate"])
    ours["rekey verify signed"] = signed_root(LeafKind.REKEY_VERIFY, ours["rekey leaf"])
    for name in ("base_c2s", "base_s2c", "ctl_c2s", "ctl_s2c"):
        _generations(name, 1, suite, (0, 1, 15, 16, 17), ours)
        _generations(name, 2, suite, (0, 1), ours)
    for far in (16, 0x0FFF_FFFF, 0xFFFF_FFFF):
        ours[f"far[{far}]"] = given["base of a far epoch"]
        _generations("far", far, suite, (0, 15, 16), ours)
    return ours


@pytest.mark.protocol("P4.11", "P4.12", "P5.1", "P5.2", "P5.3", "P5.4", "P5.5", "P5.6", "P5.7", "P5.8", "P5.9")
@pytest.mark.protocol("P5.10", "P5.12", "P5.14", "P5.15", "P6.32", "P6.33", "P6.34", "P6.36", "P8.3", "P8.6", "P8.8")
@pytest.mark.parametrize(
    ("part", "suite"),
    [("retried", Suite.X25519MLKEM768_AES256GCM), ("psk", Suite.X25519MLKEM768_CHACHA20POLY1305)],
)
def test_every_secret_on_the_way(vector_run: Begin, part: str, suite: Suite) -> None:
    with vector_run(f"{_FILE}#{part}") as run:
        given, expected = _values(run.load()[part])
        ours = _conversation(given, suite)
        assert set(ours) <= set(expected)
        inside = {"ES", "HS", "MS"}
        assert set(expected) - set(ours) == inside
        run.skip("ES, HS and MS never leave the library in ours; the next test leads from the file's to ours", 3)
        for name, value in expected.items():
            if name not in inside:
                run.check(name, ours[name] == value, positive=True)


@pytest.mark.protocol("P5.2", "P5.3", "P5.7")
@pytest.mark.parametrize("part", ["retried", "psk"])
def test_what_stays_inside_the_library_leads_to_ours(vector_run: Begin, part: str) -> None:
    with vector_run(f"{_FILE}#{part}: ES, HS, MS") as run:
        given, expected = _values(run.load()[part])
        empty, psk = sha384(b""), Secret("psk", given.get("psk", ZERO_SECRET))
        for name, ikm in (("ES", psk), ("HS", Secret("hybrid", given["hybrid secret"])), ("MS", ZERO_SECRET)):
            salt = {"ES": ZERO_SECRET, "HS": "ES", "MS": "HS"}[name]
            if isinstance(salt, str):
                salt = labelled(Secret(salt, expected[salt]), "derived", empty)
            ours = extract_labelled(salt, ikm, "derived", empty)
            run.check(name, ours == labelled(Secret(name, expected[name]), "derived", empty), positive=True)
        root = labelled(Secret("MS", expected["MS"]), "root", expected["TH[1]"])
        run.check("root from MS", _bytes(root) == expected["root[1]"], positive=True)


@pytest.mark.protocol("P6.5")
def test_anchor_ids(vector_run: Begin) -> None:
    with vector_run(f"{_FILE}#anchors") as run:
        given, expected = _values(run.load()["anchors"])
        classical = PublicKey(SignatureAlgorithm.ECDSA_P384, given["classical"])
        pq_keys = {
            "anchor id without PQ": None,
            "anchor id with ML-DSA-65": PublicKey(SignatureAlgorithm.MLDSA65, given["mldsa65"]),
            "anchor id with ML-DSA-87": PublicKey(SignatureAlgorithm.MLDSA87, given["mldsa87"]),
        }
        for name, pq in pq_keys.items():
            run.check(name, anchor_id(classical, pq) == expected[name], positive=True)


def test_the_file_is_what_the_reference_writes(vector_run: Begin) -> None:
    with vector_run(f"{_FILE}#reference.py") as run:
        theirs, file = ref.everything(), run.load()
        assert file.keys() == theirs.keys()
        for part, sides in theirs.items():
            for side, values in sides.items():
                assert list(values) == list(file[part][side])
                for name, value in values.items():
                    run.check(f"{part} {name}", file[part][side][name] == value, positive=True)


def test_the_reference_gives_the_known_answers(vector_run: Begin) -> None:
    """The second implementation is held against the third one (in Go), where both speak of the same value."""
    with vector_run("sottovoce.v1/kat.json#reference.py") as run:
        expected: dict[str, str] = run.load()
        log: Values = {}
        ref.handshake(log, None, b"\x51" * 64, b"\x71" * 48)
        ref.epoch(log, 1, ref.hl(log["MS"], "root", b"\x72" * 48, 48), b"\x72" * 48)
        init = ref.message(12, t1=b"\0\0\0\x02", t2=b"\x11\xec" + b"\x01" * 1216)
        response = ref.message(13, t1=b"\0\0\0\x02", t2=b"\x11\xec" + b"\x02" * 1120)
        ref.root_step(log, 1, init, response, b"\x52" * 64)
        names = {
            "HS": "HS (no psk, hybrid 51*64)",
            "c_hs": "c_hs (no psk, T(ServerHello) 71*48)",
            "s_hs": "s_hs (no psk, T(ServerHello) 71*48)",
            "root[1]": "root[1] (no psk, TH[1] 72*48)",
            "base_c2s[1]": "base_c2s epoch 1",
            "base_s2c[1]": "base_s2c epoch 1",
            "res[1]": "ticket psk",
            "TH[2]": "TH[2] (shares 01*1216, 02*1120)",
            "root[2]": "root[2] (hybrid 52*64)",
        }
        for ours, theirs in names.items():
            run.check(theirs, log[ours].hex() == expected[theirs], positive=True)
        run.skip("entries that the reference has no AEAD for, or that it takes other inputs for", 28 - len(names))
