"""Tests that fail with secrets at hand, run by test_planted_objects.py in a pytest of their own.

SOTTOVOCE_NOTES is the file to which secrets are told.  Each fails in another place: with the objects in its local
variables, inside of the cryptography, on the way to a server that is not trusted.
"""

import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
from cryptography.hazmat.primitives import hmac

from sottovoce.client.trio import connect
from sottovoce.hsm.errors import HsmWrongPin
from sottovoce.hsm.messages import Start
from sottovoce.hsm.process import login
from sottovoce.hsm.process.pin import read_pin
from sottovoce.hsm.vendors import parse_pin_source
from sottovoce.primitives import Secret, kem
from tests.edge.proxy import Proxy, TrioClock
from tests.session.dialogue import talking
from tests.session.keys import anchor_keys, anchor_of, other_anchor_keys
from tests.shows.telling import tell_library_keys, tell_secrets
from tests.transport.certificates import authority

teller = tell_secrets(Path(os.environ["SOTTOVOCE_NOTES"]))
tell_library_keys(teller)


class Broken:
    """Stands for a piece of a library, and fails whatever is asked of it."""

    def __init__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("a bug in the library")  # what it is given stands in no frame, as with the library's own


class PinRefused:
    """Stands for a module, its token and a session of that."""

    handle = 1

    def open(self) -> "PinRefused":
        return self

    def log_in(self, *_: object) -> NoReturn:
        raise HsmWrongPin("it is not the token's PIN")


def test_the_control_a_key_in_a_local_variable() -> None:
    leaked = os.urandom(32)
    teller.note("live", "leaked", leaked)
    assert leaked is None


def _fields_of(thing: object) -> set[str]:
    """Fixed ones and others."""
    fixed = (name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()))
    return {*fixed, *getattr(thing, "__dict__", ())}


def test_objects_in_local_variables() -> None:
    pair = talking()
    client, server = pair.client, pair.server
    chains = (client._sender, client._receiver, server._sender, server._receiver)
    variables = [{name: getattr(each, name, None) for name in _fields_of(each)} for each in (client, server)]
    teller.tell_live()
    assert chains is None, (pair, variables)


def test_a_bug_in_a_root_step(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = talking()
    teller.tell_live()
    monkeypatch.setattr(hmac, "HMAC", Broken)
    pair.step()


def test_a_bug_in_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmac, "HMAC", Broken)
    talking()


def test_a_bug_in_the_key_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    encapsulate = kem._encapsulate

    def telling_encapsulate(*asked: Any) -> tuple[bytes, bytes]:
        secret, ciphertext = encapsulate(*asked)
        teller.note("live", "ML-KEM", secret)
        return secret, ciphertext

    monkeypatch.setattr(kem, "_encapsulate", telling_encapsulate)
    make = Secret.__init__

    def failing_init(self: Secret, name: str, value: bytes) -> None:
        if name == "hybrid":
            raise RuntimeError("a bug of ours")
        make(self, name, value)

    monkeypatch.setattr(Secret, "__init__", failing_init)
    talking()


def test_a_bug_in_a_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = (pair := talking()).client._sender
    assert sender is not None
    teller.tell_live()
    monkeypatch.setattr(sender._current, "cipher", Broken())
    pair.client.seal_audio(b"x", 0.0)


async def test_a_server_that_is_not_trusted(tmp_path: Path) -> None:
    proxy = Proxy()
    token = tmp_path / "token"
    token.write_text(os.urandom(20).hex())
    teller.note("live", "token", token.read_bytes())
    anchor = (anchor_of(other_anchor_keys(), ("localhost",)),)
    async with trio.open_nursery() as nursery:
        stream = proxy.connect(nursery)
        url = "wss://localhost:8443/echo"
        async with connect(url, anchor=anchor, ca=authority().pem, token=token, stream=stream, clock=TrioClock()):
            pass


def test_a_token_file_that_holds_two(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{os.urandom(20).hex()} {os.urandom(20).hex()}")
    teller.note("live", "token", token.read_bytes())
    anchor = (anchor_of(anchor_keys(), ("localhost",)),)
    trio.run(connect("wss://localhost/echo", anchor=anchor, ca=authority().pem, token=token).__aenter__)


def test_a_pin_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = tmp_path / "pin"
    pin.write_text(os.urandom(20).hex())
    pin.chmod(0o600)
    teller.note("live", "PIN", pin.read_bytes()[:40])

    monkeypatch.setattr(login, "load_module", lambda *_: PinRefused())
    monkeypatch.setattr(login, "_find_token", lambda *_: PinRefused())
    login.log_in(Start("module", "token", str(pin), create=False, files={}), lambda _: None)


def test_a_pin_file_that_others_can_read(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text(os.urandom(20).hex())
    pin.chmod(0o644)
    teller.note("live", "PIN", pin.read_bytes())
    read_pin(parse_pin_source(str(pin)))
