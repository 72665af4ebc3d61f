"""How a call ends against its user's will, and what that is called."""

from typing import Any

import pytest

from sottovoce.client.errors import (
    ERRORS_BY_CODE,
    AuthFailed,
    BadRecord,
    CallEnded,
    CallError,
    CallTruncated,
    ConnectFailed,
    DecryptFailed,
    NoCommonSuite,
    PolicyRefused,
    RecordTooLarge,
    ServerNotTrusted,
    SessionExpired,
)
from sottovoce.client.items import Audio, Ended
from sottovoce.primitives import Suite
from sottovoce.session import ServerConfig
from sottovoce.transport import PqPolicy
from sottovoce.wire import Code, Codec
from tests.client.servers import FRAME, PureServer, Talk, anchors, settings, voice_certificate
from tests.session.dialogue import Credentials
from tests.session.keys import anchor_of, other_anchor_keys, other_serving_keys
from tests.transport import ends


def _failure(talk: Talk) -> CallError:
    assert talk.machine.failure is not None
    assert talk.machine.ended is not None
    return talk.machine.failure


# The server ends the call.


@pytest.mark.parametrize("code", Code)
def test_the_servers_word_ends_the_call_at_once_and_by_its_code(code: Code) -> None:
    talk = Talk().run()
    talk.server.say(b"last")
    talk.server.closes = False
    talk.server.end(code)
    talk.run()
    machine = talk.machine
    assert machine.items() == [Audio(b"last"), Ended(code, "ended by the other side", truncated=False, local=False)]
    assert type(machine.failure) is {Code.NORMAL: type(None), Code.GOING_AWAY: CallTruncated, **ERRORS_BY_CODE}[code]
    assert not machine.send_audio(FRAME, 0.0)
    assert not machine.is_over, "the closing handshake is the server's to begin"
    talk.server.websocket.close(code)
    talk.run()
    assert machine.is_over


@pytest.mark.protocol("P7.48")
def test_what_follows_the_servers_word_is_ignored_and_not_answered() -> None:
    talk = Talk().run()
    talk.server.closes = False
    talk.server.end(1000)
    talk.server.websocket.send_binary(b"nonsense")
    talk.server.websocket.send_text("nonsense")
    talk.run()
    heard = len(talk.from_client)
    assert talk.machine.failure is None
    talk.machine.on_deadline(5.0)
    assert talk.machine.is_over, "a server that does not close is waited for no longer than five seconds"
    talk.run()
    assert len(talk.from_client) - heard < 40, "close_notify, and nothing else"


# The connection ends, and nobody has said that the call does.


@pytest.mark.protocol("P7.50", "P11.2")
def test_an_end_of_the_network_is_a_cut() -> None:
    talk = Talk().run()
    talk.server.say(b"last")
    talk.run()
    talk.machine.receive_eof(0.0)
    talk.machine.receive_eof(0.0)
    assert type(_failure(talk)) is CallTruncated
    first, last = talk.machine.items()
    assert first == Audio(b"last")
    assert last == Ended(1006, "the connection ended and nobody said why", truncated=True, local=False)
    assert talk.machine.is_over


@pytest.mark.protocol("P7.50", "P11.2")
def test_a_close_of_tls_is_a_cut() -> None:
    talk = Talk().run()
    talk.server.close_tls()
    talk.run()
    assert type(_failure(talk)) is CallTruncated
    talk.machine.receive_eof(0.0)
    assert len(talk.machine.items()) == 1


@pytest.mark.protocol("P7.50", "P11.2")
@pytest.mark.parametrize("code", [1000, 1001, 4401, 4450])
def test_a_close_of_the_websocket_is_a_cut_whatever_its_code_says(code: int) -> None:
    talk = Talk().run()
    talk.server.say(b"the server has the keys")
    talk.server.websocket.close(code)
    talk.run()
    assert type(_failure(talk)) is CallTruncated
    assert talk.machine.ended is not None
    assert (talk.machine.ended.code, talk.machine.ended.truncated) == (code, True)
    assert talk.machine.is_over


def test_a_broken_record_of_tls_is_a_cut() -> None:
    talk = Talk().run()
    talk.server.say(b"audio")
    data = bytearray(talk.server.to_send())
    data[-1] ^= 1
    talk.machine.receive(bytes(data), 0.0)
    assert type(_failure(talk)) is CallTruncated
    assert talk.machine.has_output, "the alert"


@pytest.mark.protocol("P3.38", "P7.50")
def test_a_server_that_never_used_the_keys_may_have_refused_them() -> None:
    for code, kind in ((4401, AuthFailed), (1000, CallTruncated)):
        talk = Talk().run()
        assert talk.machine.is_open
        talk.server.websocket.close(code)
        talk.run()
        assert type(_failure(talk)) is kind
        assert "unproven" in str(talk.machine.failure)
        assert talk.machine.ended is not None
        assert talk.machine.ended.truncated


def test_what_came_before_a_broken_record_is_not_lost() -> None:
    talk = Talk().run()
    talk.server.say(b"one")
    whole = talk.server.to_send()
    talk.server.say(b"two")
    broken = bytearray(talk.server.to_send())
    broken[-1] ^= 1
    talk.machine.receive(whole + bytes(broken), 0.0)
    assert type(_failure(talk)) is CallTruncated
    first, last = talk.machine.items()
    assert first == Audio(b"one")
    assert last == talk.machine.ended


# What the server sends is at fault.


@pytest.mark.protocol("P1.5")
@pytest.mark.parametrize("established", [True, False])
def test_a_text_message_is_bad_record(*, established: bool) -> None:
    talk = Talk(PureServer(signs=established)).run()
    talk.server.websocket.send_text("hello")
    talk.run()
    assert type(_failure(talk)) is BadRecord
    assert talk.machine.ended is not None
    assert talk.machine.ended.local
    assert any(getattr(event, "code", None) == Code.BAD_RECORD for event in talk.server.carriage)


@pytest.mark.parametrize(
    ("message", "kind"),
    [(b"", BadRecord), (b"\x7f" * 40, BadRecord), (b"\x80" * 16_385, RecordTooLarge), (b"\0" * 20_481, RecordTooLarge)],
)
def test_a_message_that_is_no_record_ends_the_call(message: bytes, kind: type[CallError]) -> None:
    talk = Talk().run()
    talk.server.websocket.send_binary(message)
    talk.run()
    assert type(_failure(talk)) is kind


def test_a_record_that_was_changed_ends_the_call() -> None:
    talk = Talk().run()
    session = talk.server.session
    assert session is not None
    record = session.seal_audio(FRAME, 0.0)
    assert record is not None
    talk.server.websocket.send_binary(record[:-1] + bytes([record[-1] ^ 1]))
    talk.run()
    assert type(_failure(talk)) is DecryptFailed
    assert talk.server.ended is not None
    assert talk.server.ended.code == Code.DECRYPT_FAILED, "and the server is told, in a sealed record"


def test_what_is_no_websocket_ends_the_call() -> None:
    talk = Talk().run()
    talk.server.to_tls()
    talk.server.tls.send(b"\xff\xff\xff\xff")
    talk.run()
    assert type(_failure(talk)) is BadRecord


# Time.


@pytest.mark.protocol("P2.17")
def test_the_voice_handshake_has_five_seconds_from_the_http_response() -> None:
    talk = Talk(PureServer(signs=False))
    talk.now = 3.0
    talk.run()
    assert talk.machine.next_deadline() == 8.0
    talk.machine.on_deadline(7.9)
    assert talk.machine.ended is None
    talk.machine.on_deadline(8.0)
    assert type(_failure(talk)) is SessionExpired


def test_a_server_that_says_nothing_is_given_up() -> None:
    talk = Talk()
    assert talk.machine.next_deadline() == 10.0
    talk.machine.on_deadline(9.9)
    assert talk.machine.ended is None
    talk.machine.on_deadline(10.0)
    assert type(_failure(talk)) is ConnectFailed
    assert "TLS handshake" in str(talk.machine.failure)
    assert talk.machine.is_over
    assert talk.machine.next_deadline() is None


def test_a_server_that_does_not_answer_the_upgrade_is_given_up() -> None:
    talk = Talk(PureServer(response=lambda _: b"HTTP/1.1 101 Switching"))
    talk.run()
    talk.machine.on_deadline(10.0)
    assert type(_failure(talk)) is ConnectFailed
    assert "HTTP upgrade" in str(talk.machine.failure)


@pytest.mark.protocol("P7.27")
def test_a_server_that_does_not_renew_the_keys_is_left() -> None:
    talk = Talk(PureServer(config=ServerConfig(epoch_seconds=100))).run()
    talk.server.signs = False
    for now in (91.0, 159.0):
        talk.machine.on_deadline(now)
    assert talk.machine.is_open
    talk.machine.on_deadline(160.1)
    assert type(_failure(talk)) is SessionExpired
    assert not talk.machine.send_audio(FRAME, 160.1)


# Writing fails.


@pytest.mark.protocol("P5.25")
def test_a_write_that_was_cancelled_ends_the_call_and_nothing_follows() -> None:
    talk = Talk().run()
    assert talk.machine.send_audio(FRAME, 0.0)
    talk.machine.to_send()
    talk.machine.write_failed(0.0, cancelled=True)
    assert type(_failure(talk)) is CallTruncated
    assert talk.machine.is_over
    assert talk.machine.to_send() == b""


@pytest.mark.protocol("P5.25")
def test_behind_a_write_that_failed_nothing_follows_but_the_servers_last_word_is_heard() -> None:
    talk = Talk().run()
    talk.server.end(Code.BACKEND_DOWN)
    last = talk.server.to_send()
    talk.machine.send_audio(FRAME, 0.0)
    talk.machine.write_failed(1.0)
    talk.machine.write_failed(2.0)
    assert talk.machine.to_send() == b""
    assert talk.machine.send_audio(FRAME, 1.0)
    assert talk.machine.to_send() == b""
    assert talk.machine.next_deadline() == 6.0
    talk.machine.receive(last, 3.0)
    assert type(_failure(talk)) is ERRORS_BY_CODE[Code.BACKEND_DOWN]


def test_a_broken_connection_is_listened_to_for_five_seconds() -> None:
    talk = Talk().run()
    talk.machine.write_failed(1.0)
    talk.machine.on_deadline(5.9)
    assert talk.machine.ended is None
    talk.machine.on_deadline(6.0)
    assert type(_failure(talk)) is CallTruncated


# The call does not come about.


@pytest.mark.parametrize(
    ("server", "client", "kind"),
    [
        ({"credentials": Credentials(Code.AUTH_FAILED)}, {}, AuthFailed),
        ({"credentials": Credentials(Code.POLICY)}, {}, PolicyRefused),
        ({"config": ServerConfig(credential_kinds=(1,))}, {}, PolicyRefused),
        ({"config": ServerConfig(codecs=(Codec.PCMU_8K,))}, {}, PolicyRefused),
        ({"config": ServerConfig(suites=(Suite.X25519_AES256GCM,))}, {}, NoCommonSuite),
        ({"certificate": voice_certificate("other.example")}, {}, AuthFailed),
        ({"keys": other_serving_keys()}, {}, AuthFailed),
        ({}, {"anchor": (anchor_of(other_anchor_keys(), ("localhost",)),)}, AuthFailed),
        ({}, {"anchor": anchors("other.example")}, AuthFailed),
        ({"tls": ends.server(PqPolicy.REQUIRE)}, {"pq": PqPolicy.OFF}, ConnectFailed),
        ({"tls": ends.server(PqPolicy.OFF)}, {"pq": PqPolicy.REQUIRE}, ConnectFailed),
        ({}, {"ca": None}, ServerNotTrusted),
        ({}, {"url": "wss://voice.example.com/echo"}, ServerNotTrusted),
    ],
)
@pytest.mark.protocol("P1.18")
def test_what_is_not_agreed_or_not_proved_makes_no_call(
    server: dict[str, Any], client: dict[str, Any], kind: type[CallError]
) -> None:
    talk = Talk(PureServer(**server), settings(**client)).run()
    failure = _failure(talk)
    assert type(failure) is kind
    assert failure.remedy
    assert not talk.machine.is_open
    assert not talk.machine.send_audio(FRAME, 0.0)
    talk.machine.on_deadline(20.0)
    assert talk.run().machine.is_over
    assert talk.server.audio == []


def test_an_anchor_that_does_not_fit_is_named() -> None:
    talk = Talk(client=settings(anchor=(anchor_of(other_anchor_keys(), ("localhost",)),))).run()
    text = str(_failure(talk))
    assert f"signed by anchor {anchors()[0].anchor_id.hex()[:16]}, which is not in the anchor file" in text
    assert "anchor.json" in text


def test_a_server_that_is_no_tls_server() -> None:
    talk = Talk()
    talk.machine.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.0)
    assert "something else listens there" in str(_failure(talk))
    assert type(_failure(talk)) is ConnectFailed


def test_giving_up_before_the_call_is_open() -> None:
    talk = Talk()
    talk.machine.close(0.0)
    assert type(_failure(talk)) is CallEnded
    assert talk.machine.is_over


def test_giving_up_in_the_voice_handshake() -> None:
    talk = Talk(PureServer(signs=False)).run()
    talk.machine.drop(0.0)
    assert type(_failure(talk)) is CallEnded
    assert talk.run().machine.is_over


def test_a_server_that_asks_for_more_answers_than_are_read_is_left() -> None:
    talk = Talk().run()
    for _ in range(40):
        for _ in range(800):
            talk.server.websocket.send_ping(bytes(125))
        talk.server.to_tls()
        talk.machine.receive(talk.server.to_send(), 0.0)
    assert isinstance(_failure(talk), CallTruncated)
    assert talk.machine.is_over
    assert len(talk.machine.to_send()) < 2_000_000
