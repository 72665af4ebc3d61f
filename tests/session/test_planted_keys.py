"""Planted keys: whatever a session derives or is given appears in no repr, event, exception or traceback of ours.

Every `Secret` is noted when it is wiped, and those that live are noted too; then each text that came up is searched for
each value, raw, in hex and in base64.  What is found is told by its origin only: a failing test shows no key either.
"""

import base64
import gc
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from sottovoce.primitives import ApiMisuse, Secret, SottovoceError
from sottovoce.session import Credential, ServerConfig
from tests.session.dialogue import Credentials, Pair, client_config, flipped, make_client, make_server, talking
from tests.session.meeting import AtClient, AtServer

TOKEN = b"a-bearer-token-that-nobody-may-see"


class Noted:
    """Values of secrets, and texts that may not hold them."""

    def __init__(self) -> None:
        self.values: set[bytes] = {TOKEN}
        self.texts: list[tuple[str, str]] = []

    def add(self, origin: str, *things: object) -> None:
        """Keep how things show themselves."""
        self.texts += [(origin, repr(thing)) for thing in things] + [(origin, str(thing)) for thing in things]

    def note(self, secret: Secret) -> None:
        """Keep the value of a secret of key's length."""
        if not secret.is_wiped and len(secret) >= 12:
            self.values.add(bytes(secret.expose()))

    def look_around(self) -> None:
        """Note what lives, and how everything of ours shows itself."""
        for thing in gc.get_objects():
            if isinstance(thing, Secret):
                self.note(thing)
            if str(type(thing).__module__).startswith("sottovoce"):
                self.add(type(thing).__name__, thing)

    def found(self) -> list[str]:
        """The origins of texts that hold a value, in any of its shapes."""
        shapes: set[str] = set()
        for value in self.values:
            encoded = base64.b64encode(value).decode()
            shapes |= {repr(value)[2:-1], value.hex(), value.hex(" "), encoded, encoded.rstrip("="), str(list(value))}
            shapes |= {base64.urlsafe_b64encode(value).decode().rstrip("="), value.hex().upper()}
        return sorted({origin for origin, text in self.texts if any(shape in text for shape in shapes)})


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Noted]:
    notes = Noted()
    wipe = Secret.wipe
    init = SottovoceError.__init__

    def noting_wipe(secret: Secret) -> None:
        notes.note(secret)
        wipe(secret)

    def noting_init(error: SottovoceError, *args: object) -> None:
        init(error, *args)
        notes.add(type(error).__name__, error, "".join(traceback.format_stack()))

    monkeypatch.setattr(Secret, "wipe", noting_wipe)
    monkeypatch.setattr(SottovoceError, "__init__", noting_init)
    yield notes
    values, texts = len(notes.values), len(notes.texts)
    assert values > 1, "the control: secrets were noted"
    assert texts > 10, "the control: texts came up"
    found = notes.found()
    assert found == []


def test_the_search_finds_what_is_there() -> None:
    for shape in (TOKEN.hex(), base64.b64encode(TOKEN).decode(), repr(TOKEN), f"x{TOKEN!r}y"):
        notes = Noted()
        notes.texts = [("innocent", "x"), ("guilty", shape)]
        assert notes.found() == ["guilty"]


def test_a_whole_session_with_steps(noted: Noted) -> None:
    config = client_config(credential=Credential(1, Secret("token", TOKEN)))
    server = make_server(ServerConfig(credential_kinds=(1,), messages_per_key=16), credentials=Credentials())
    pair = Pair(make_client(config), server)
    noted.look_around()
    pair.run()
    noted.look_around()
    pair.voice(up=20, down=20)
    for _ in range(2):
        pair.step()
        noted.look_around()
    noted.add("event", *pair.client_events, *pair.server_events)
    pair.client.close(1000, pair.now)
    pair.run()
    noted.look_around()


@pytest.mark.parametrize("where", range(0, 1600, 37))
def test_handshakes_that_fail(noted: Noted, where: int) -> None:
    """A bit turned in the server's hello or flight, and in the client's."""
    pair = Pair()
    for record in pair.client_records():
        pair.to_server(record)
    noted.look_around()
    for number, record in enumerate(pair.server_records()):
        index = where % len(record)
        pair.to_client(flipped(record, index) if number == where % 2 else record)
    for record in pair.client_records():
        pair.to_server(flipped(record, where % len(record)))
    noted.add("event", *pair.client_events, *pair.server_events)
    noted.look_around()


@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_sessions_that_fail_inside_a_step(noted: Noted, role: type[AtServer] | type[AtClient]) -> None:
    meeting: Any = role()
    meeting.init()
    noted.look_around()
    meeting.take(b"\x80\x10" + bytes(40))
    noted.add("event", *meeting.events)
    noted.look_around()


def test_misuse(noted: Noted) -> None:
    pair = talking()
    noted.look_around()
    sender: Any = pair.client._sender
    pair.client.erase()
    with pytest.raises(ApiMisuse):
        sender.seal(b"x")
    for secret in (pair.server._rekey, sender._base):
        with pytest.raises(TypeError) as caught:
            secret.__reduce__()
        noted.add("traceback", "".join(traceback.format_exception(caught.value)))
