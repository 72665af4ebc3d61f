"""Protocol §3, §4, §6: verdicts on credentials that take their time, and what is left of what was shown."""

from typing import Any

import pytest

from sottovoce.primitives import ApiMisuse
from sottovoce.session import (
    CredentialShown,
    Established,
    Identity,
    ShownCredential,
)
from sottovoce.wire import Code
from tests.session.dialogue import Credentials, Pair, ended, make_server
from tests.session.meeting import AtServer, code_of


def judged_later(expires_at: float | None = None) -> tuple[AtServer, ShownCredential]:
    """Our server, which waits for a verdict on alice's token."""
    meeting = AtServer(
        established=False,
        credentials=Credentials(None),
        client={"credential": (1, b"alice's token")},
        credential_kinds=(1,),
    )
    meeting.until_flight()
    events = meeting.take(meeting.peer.flight())
    (event,) = events
    assert isinstance(event, CredentialShown)
    return meeting, event.shown


@pytest.mark.protocol("P4.13", "P3.32")
def test_a_session_begins_with_the_verdict_and_not_before() -> None:
    meeting, shown = judged_later()
    server = meeting.server
    assert server.has_verdict_due
    assert not server.is_open
    assert server.seal_audio(b"early", 0.0) is None
    assert server.to_send() == []
    assert shown.value == b"alice's token"
    server.provide_verdict(shown, Identity("alice"), 1.0)
    (established,) = server.events()
    assert isinstance(established, Established)
    assert established.identity == Identity("alice")
    assert not server.has_verdict_due
    meeting.out, meeting.into = meeting.peer.up, meeting.peer.down
    assert server.open_audio(meeting.out.seal(b"\0x\x01"), 1.0) == b"\0x"


@pytest.mark.protocol("P4.20", "P10.2", "P10.3")
@pytest.mark.parametrize("code", [Code.AUTH_FAILED, Code.POLICY])
def test_a_verdict_that_refuses(code: Code) -> None:
    meeting, shown = judged_later()
    meeting.server.provide_verdict(shown, code, 1.0)
    assert ended(meeting.server.events()).code == code
    assert meeting.server.to_send() == []
    assert not meeting.server.has_verdict_due


@pytest.mark.protocol("P2.17", "P10.5")
@pytest.mark.parametrize("how", ["deadline", "verdict"])
def test_the_handshakes_time_runs_while_a_verdict_is_due(how: str) -> None:
    meeting, shown = judged_later()
    assert meeting.server.next_deadline() == 5.0
    if how == "deadline":
        events = meeting.server.on_deadline(5.0)
    else:
        meeting.server.provide_verdict(shown, Identity("alice"), 5.0)
        events = meeting.server.events()
    assert ended(events).code == Code.EXPIRED
    meeting.server.provide_verdict(shown, Identity("alice"), 5.1)
    assert meeting.server.events() == []
    assert not meeting.server.is_open


@pytest.mark.protocol("P4.13")
def test_a_verdict_twice_or_on_another_one_is_ignored() -> None:
    meeting, shown = judged_later()
    like = ShownCredential(1, b"alice's token", shown.authority, shown.path)
    assert like == shown
    meeting.server.provide_verdict(like, Identity("mallory"), 1.0)
    assert meeting.server.has_verdict_due
    meeting.server.provide_verdict(shown, Identity("alice"), 1.0)
    meeting.server.provide_verdict(shown, Identity("mallory"), 1.0)
    meeting.server.provide_verdict(shown, Code.AUTH_FAILED, 1.0)
    assert [type(event) for event in meeting.server.events()] == [Established]
    assert meeting.server.is_open
    for server in (make_server(), AtServer(established=False).server):
        server.provide_verdict(shown, Identity("alice"), 0.0)
        assert server.events() == []
        assert not server.is_open


@pytest.mark.protocol("P4.22")
def test_who_is_withdrawn_while_the_judge_is_at_work_does_not_get_in() -> None:
    meeting, shown = judged_later()
    meeting.credentials.withdrawn.add("alice")
    meeting.server.provide_verdict(shown, Identity("alice"), 1.0)
    assert ended(meeting.server.events()).code == Code.AUTH_FAILED


def test_a_record_while_a_verdict_is_due_is_a_fault_of_the_shell() -> None:
    """It is said aloud, and the session is over: what came would otherwise be lost from the middle of a stream."""
    meeting, shown = judged_later()
    with pytest.raises(ApiMisuse):
        meeting.server.open_audio(meeting.peer.up.seal(b"\0x\x01"), 0.5)
    assert ended(meeting.server.events()).code == Code.INTERNAL
    meeting.server.provide_verdict(shown, Identity("alice"), 1.0)
    assert meeting.server.events() == []


@pytest.mark.protocol("P10.16")
def test_a_fault_of_the_judge_ends_the_session() -> None:
    meeting, shown = judged_later()

    def broken(*_: object) -> bool:
        raise RuntimeError("a judge that fails in a way that it must not")

    meeting.credentials.still_holds = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        meeting.server.provide_verdict(shown, Identity("alice"), 1.0)
    assert ended(meeting.server.events()).code == Code.INTERNAL
    assert shown.value == bytes(13)


@pytest.mark.protocol("P11.41")
@pytest.mark.parametrize("how", ["verdict", "refusal", "end", "expired", "misuse"])
def test_a_tokens_bytes_are_gone_once_there_is_a_verdict_or_an_end(how: str) -> None:
    meeting, shown = judged_later()
    match how:
        case "verdict":
            meeting.server.provide_verdict(shown, Identity("alice"), 1.0)
        case "refusal":
            meeting.server.provide_verdict(shown, Code.AUTH_FAILED, 1.0)
        case "end":
            meeting.server.carriage_ended(None)
        case "expired":
            meeting.server.on_deadline(5.0)
        case _:
            with pytest.raises(ApiMisuse):
                meeting.take(b"\x80")
    assert shown.value == bytes(len(b"alice's token"))


@pytest.mark.protocol("P11.41")
@pytest.mark.parametrize("verdict", [Identity("alice"), Code.AUTH_FAILED])
def test_a_tokens_bytes_are_gone_after_a_verdict_at_once(verdict: Identity | Code) -> None:
    credentials = Credentials(verdict)
    meeting = AtServer(
        established=False, credentials=credentials, client={"credential": (1, b"a token")}, credential_kinds=(1,)
    )
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert credentials.asked[0][1] == b"a token"
    assert credentials.shown[0].value == bytes(7)


@pytest.mark.protocol("P11.41")
def test_a_tokens_bytes_are_gone_when_the_flight_was_refused_for_something_else() -> None:
    meeting = AtServer(
        established=False,
        client={"credential": (1, b"a token"), "codecs": (9, 9, 20)},
        credential_kinds=(1,),
    )
    meeting.until_flight()
    handshake: Any = meeting.server._handshake
    kept: list[bytes] = []
    erase = handshake.erase
    handshake.erase = lambda: (kept.append(handshake._value), erase())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.POLICY
    assert kept[0] == bytes(7)


@pytest.mark.protocol("P4.21", "P4.22", "P10.5")
def test_a_credential_that_is_withdrawn_ends_the_session_with_expired() -> None:
    """The shell asks `still_holds` and closes; both ends are told why."""
    pair = Pair().run()
    pair.voice(up=1, down=1)
    pair.server.close(Code.EXPIRED, pair.now, "the credential was withdrawn")
    pair.run()
    assert ended(pair.client_events).code == Code.EXPIRED
    assert not ended(pair.client_events).truncated
    assert pair.server.seal_audio(b"x", pair.now) is None
