"""What a client shows of itself: read from files, refused in a line that names the file, sent where it belongs."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from sottovoce.client import CallMisconfigured, ConnectFailed, TicketStore
from sottovoce.client.credentials import read_key, read_token
from sottovoce.client.settings import CallSettings
from sottovoce.primitives import Secret, SignatureAlgorithm
from sottovoce.session import Identity, ServerConfig, ShownCredential
from sottovoce.transport import PqPolicy, server_context
from sottovoce.wire import Code
from tests.client.servers import FRAME, Box, PureServer, Talk, settings
from tests.session.dialogue import Credentials
from tests.session.keys import Ed25519Signer
from tests.transport.certificates import Authority, leaf, pem_of

_TOKEN = "eyJhbGciOi.hunter2"


def test_a_token_comes_from_a_file_as_text_or_as_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(_TOKEN + "\n")
    own = Secret("mine", _TOKEN.encode())
    assert read_token(path) == read_token(_TOKEN) == Secret("token", _TOKEN.encode())
    assert read_token(own) is own


@pytest.mark.parametrize("content", ["", " \n", "hunter2 and more", "hunter2é", "hunter2" * 2000, "hunter2\0"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    for source, named in ((path, str(path)), (content, "the token")):
        with pytest.raises(CallMisconfigured, match="is not a token") as refusal:
            read_token(source)
        assert named in str(refusal.value)
        assert "hunter2" not in str(refusal.value)


def test_a_text_with_a_path_in_it_is_a_token_and_never_shown() -> None:
    assert repr(read_token("/etc/hunter2")) == "<Secret bearer token, 12 bytes>"


# --- signing keys ---------------------------------------------------------------------------------------------------


def _write_private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def _pem(key: Any, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return _write_private(tmp_path / "client.key", _pem(ed25519.Ed25519PrivateKey.generate()))


class _Judge(Credentials):
    """Takes what proves possession, as `Clients` does: only when asked to judge."""

    def __init__(self) -> None:
        super().__init__(Identity("alice"))
        self.shown: list[ShownCredential] = []

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        self.shown.append(shown)
        return None if shown.possession is not None else self.verdict

    def judge(self, shown: ShownCredential) -> Identity | Code:
        holds = shown.possession is not None and shown.possession.holds()
        return Identity("alice") if holds else Code.AUTH_FAILED


def _call(client: CallSettings, kind: int, **server: Any) -> tuple[Talk, _Judge]:
    judge = _Judge()
    config = ServerConfig(credential_kinds=(kind,))
    return Talk(PureServer(config=config, credentials=judge, **server), client).run(), judge


@pytest.mark.protocol("P4.18", "P3.22")
def test_a_key_from_a_file_proves_who_calls(key_file: Path) -> None:
    talk, judge = _call(settings(key=key_file), 2)
    assert talk.machine.is_open
    assert talk.machine.send_audio(FRAME, 0.0)
    assert talk.run().server.audio == [b"\0" + FRAME]
    (shown,) = judge.shown
    assert shown.possession is not None
    assert shown.possession.key == read_key(key_file).public_key


def test_what_signs_may_be_the_users_own() -> None:
    signer = Ed25519Signer(b"\x07" * 32)
    talk, judge = _call(settings(key=signer), 2)
    assert talk.machine.is_open
    assert judge.shown[0].possession is not None
    assert judge.shown[0].possession.key == signer.public_key


def test_a_signer_that_lies_is_refused() -> None:
    class Liar(Ed25519Signer):
        def sign(self, message: bytes) -> bytes:
            return super().sign(message + b"!")

    talk, _ = _call(settings(key=Liar(b"\x07" * 32)), 2)
    assert talk.server.ended is not None
    assert talk.server.ended.code == Code.AUTH_FAILED
    assert talk.machine.failure is not None
    assert talk.machine.failure.code == Code.AUTH_FAILED
    assert "credential" in str(talk.machine.failure)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no private key in PEM"),
        (b"hunter2", "holds no private key in PEM"),
        (
            _pem(ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b"pass")),
            "is encrypted; write it without",
        ),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "curve secp256r1; give one of Ed25519, P-384 or ML-DSA"),
    ],
)
def test_a_file_without_a_usable_key_is_named_in_a_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = _write_private(tmp_path / "client.key", content)
    with pytest.raises(CallMisconfigured, match=says) as refusal:
        settings(key=path)
    assert str(refusal.value).startswith(f"{path} ")
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o777])
def test_a_private_key_that_others_can_read_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(CallMisconfigured, match="is open to others") as refusal:
        settings(key=key_file)
    assert refusal.value.remedy == f"chmod 600 {key_file}"
    with pytest.raises(CallMisconfigured, match="is open to others"):
        settings(certificate=key_file, certificate_key=key_file)


def test_a_key_that_belongs_to_root_may_be_open_to_a_group(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    key_file.chmod(0o640)
    assert read_key(key_file).public_key.algorithm is SignatureAlgorithm.ED25519
    key_file.chmod(0o644)
    with pytest.raises(CallMisconfigured, match="is open to others"):
        read_key(key_file)


def test_a_key_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, _pem(ed25519.Ed25519PrivateKey.generate()))
    os.close(writing)
    try:
        assert read_key(f"/dev/fd/{reading}").public_key.is_valid()
    finally:
        os.close(reading)


# --- certificates ---------------------------------------------------------------------------------------------------


@pytest.fixture
def identity_files(tmp_path: Path) -> tuple[Path, Path]:
    issued = Authority("Clients", _clients()).issue("kiosk-7")
    chain, key = pem_of(issued)
    certificate = tmp_path / "client.pem"
    certificate.write_bytes(chain)
    return certificate, _write_private(tmp_path / "client-tls.key", key)


def _clients(known: list[Authority] = []) -> Authority:  # noqa: B006  made once, for all tests
    if not known:
        known.append(Authority("Clients' root"))
    return known[0]


@pytest.mark.protocol("P4.19")
def test_a_certificate_is_shown_in_the_outer_tls_and_named_in_the_sealed_flight(
    identity_files: tuple[Path, Path],
) -> None:
    certificate, key = identity_files
    tls = server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=_clients().pem)
    talk, judge = _call(settings(certificate=certificate, certificate_key=str(key)), 3, tls=tls)
    assert talk.machine.is_open
    der = talk.server.tls.peer_certificate_der()
    assert der is not None
    assert [(shown.kind, shown.certificate) for shown in judge.shown] == [(3, der)]
    assert settings(certificate=certificate, certificate_key=key).config.credential.certificate_sha256 == (
        hashlib.sha256(der).digest()
    )


def test_a_server_that_wants_a_certificate_and_gets_none_or_another_ones(tmp_path: Path) -> None:
    tls = server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=_clients().pem)
    chain, key = pem_of(Authority("Strangers").issue("kiosk-7"))
    (tmp_path / "cert").write_bytes(chain)
    _write_private(tmp_path / "key", key)
    strange = settings(certificate=tmp_path / "cert", certificate_key=tmp_path / "key")
    for client in (settings(), strange):
        talk = Talk(PureServer(tls=tls), client).run()
        assert isinstance(talk.machine.failure, ConnectFailed)
        assert "client certificate" in str(talk.machine.failure)


def test_a_pair_that_is_none_is_named(identity_files: tuple[Path, Path], key_file: Path, tmp_path: Path) -> None:
    certificate, key = identity_files
    nowhere = tmp_path / "nowhere"
    for given, says in (
        ((certificate, key_file), "does not belong to the TLS certificate"),
        ((key, key), "holds no readable certificate"),
        ((certificate, _write_private(tmp_path / "x", b"hunter2")), "cannot be read"),
        ((nowhere, key), "nowhere: No such file"),
        ((certificate, nowhere), "nowhere: No such file"),
        ((certificate, None), "belong together"),
        ((None, key), "belong together"),
    ):
        with pytest.raises(CallMisconfigured, match=says) as refusal:
            settings(certificate=given[0], certificate_key=given[1])
        assert refusal.value.remedy
        assert "hunter2" not in str(refusal.value)


# --- one of them ----------------------------------------------------------------------------------------------------


def test_more_than_one_is_refused(identity_files: tuple[Path, Path], key_file: Path) -> None:
    certificate, key = identity_files
    pair = {"certificate": certificate, "certificate_key": key}
    choices: tuple[dict[str, Any], ...] = (
        {"token": "a", "key": key_file},
        {"token": "a", **pair},
        {"key": key_file, **pair},
    )
    for given in choices:
        with pytest.raises(CallMisconfigured, match="more than one credential"):
            settings(**given)


def test_a_token_is_wiped_when_something_else_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Secret] = []
    monkeypatch.setattr(
        "sottovoce.client.credentials.read_token", lambda source: read.append(read_token(source)) or read[-1]
    )
    with pytest.raises(CallMisconfigured, match="no readable certificate"):
        settings(token="hunter2", ca=b"nonsense")
    assert [each.is_wiped for each in read] == [True]


@pytest.mark.protocol("P6.52")
def test_a_ticket_of_a_certificate_is_kept_for_that_certificate(identity_files: tuple[Path, Path]) -> None:
    certificate, key = identity_files
    store, box = TicketStore(), Box()
    tls = server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=_clients().pem)
    client = settings(certificate=certificate, certificate_key=key, tickets=store)
    for is_resumed in (False, True):
        talk, _ = _call(client, 3, tls=tls, tickets=box)
        assert talk.machine.is_open
        assert talk.machine.statistics.is_resumed is is_resumed
    box.offered.clear()
    talk = Talk(PureServer(tickets=box), settings(tickets=store)).run()
    assert talk.machine.is_open
    assert box.offered == []
