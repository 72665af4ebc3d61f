"""What is not a peer's doing: to come late, to hand in nonsense, to break inside.  A session then ends, erased."""

from typing import Any, NoReturn

import msgspec
import pytest

from sottovoce.primitives import ApiMisuse, IllegalShare, Secret
from sottovoce.session import Ended, Identity, LeafKind, Proof, ServedCertificate, ServerConfig, SignatureWanted
from sottovoce.wire import MAX_EPOCH, Code
from tests.session.carriers import ClientOverTwo, ServerOverTwo
from tests.session.dialogue import Credentials, Pair, Serving, ended, make_client, make_server, signing_under, talking
from tests.session.foreign_bytes import AUDIO, CLOSE, HANDSHAKE, PING, message, u, with_tlv
from tests.session.keys import anchor_keys, classical_anchor_keys, issue, prove, serving_keys
from tests.session.meeting import AtClient, AtServer, Meeting, code_of, judged_by_client

EPOCH = 100
Role = type[AtServer] | type[AtClient]
ROLES = [AtServer, AtClient]


def met(role: Role) -> Any:
    return AtServer(epoch_seconds=EPOCH) if role is AtServer else AtClient(server={"t2": u(EPOCH, 2)})


def secrets_of(meeting: Meeting) -> list[Secret]:
    """What an open session holds."""
    ours: Any = meeting.ours
    return [ours._rekey, ours._sender._base, ours._receiver._base, ours._resumption]


# Late, and nobody called on_deadline


@pytest.mark.protocol("P2.17", "P10.5")
@pytest.mark.parametrize("role", ROLES)
def test_the_last_flight_of_a_handshake_comes_too_late(role: Role) -> None:
    meeting = role(established=False)
    if isinstance(meeting, AtServer):
        meeting.until_flight()
    else:
        meeting.take(meeting.peer.hello())
    meeting.now = 5.0
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.EXPIRED
    assert meeting.ours.to_send() == [], "no credential leaves"


@pytest.mark.protocol("P7.26", "P7.27")
@pytest.mark.parametrize(("role", "late"), [(AtServer, EPOCH + 30), (AtClient, EPOCH + 60)])
def test_a_record_after_the_end_of_an_epoch_is_not_opened(role: Role, late: float) -> None:
    meeting = met(role)
    secrets = secrets_of(meeting)
    meeting.now = late
    assert [type(event) for event in meeting.say(AUDIO, b"\0late")] == [Ended]
    assert code_of(meeting) == Code.EXPIRED
    assert all(secret.is_wiped for secret in secrets)
    assert meeting.hear() == [(CLOSE, u(Code.EXPIRED, 2))]


@pytest.mark.protocol("P7.26")
@pytest.mark.parametrize("role", ROLES)
def test_closing_what_has_expired_says_so(role: Role) -> None:
    meeting = met(role)
    meeting.ours.close(1000, 1000.0)
    assert ended(meeting.ours.events()).code == Code.EXPIRED
    meeting.ours.close(1000, 1000.0)
    assert meeting.ours.events() == []


@pytest.mark.protocol("P2.17", "P6.43")
def test_a_proof_that_comes_after_the_handshakes_time_makes_no_flight() -> None:
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    meeting.ours.to_send()
    meeting.now = 5.0
    meeting.prove()
    assert ended(meeting.ours.events()).code == Code.EXPIRED
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P7.26")
def test_a_proof_that_comes_after_the_epochs_time_makes_no_answer() -> None:
    meeting = met(AtServer)
    meeting.init()
    meeting.now = EPOCH + 30
    meeting.prove()
    assert meeting.hear() == [(CLOSE, u(Code.EXPIRED, 2))]


@pytest.mark.protocol("P4.21", "P7.24")
def test_nothing_is_sealed_once_the_credential_has_expired() -> None:
    wall = 1_800_000_000.0
    meeting = AtServer(credentials=Credentials(Identity("short", expires_at=wall + 20)))
    assert meeting.ours.next_deadline() == 20.0
    assert meeting.ours.seal_audio(b"x", 19.9) is not None
    assert meeting.ours.seal_audio(b"x", 20.0) is None
    assert not meeting.ours.may_send(20.0)
    meeting.at(20.0)
    assert code_of(meeting) == Code.EXPIRED


@pytest.mark.protocol("P4.23", "P7.24")
def test_a_step_does_not_lengthen_a_session() -> None:
    wall = 1_800_000_000.0
    server = make_server(ServerConfig(epoch_seconds=10), credentials=Credentials(Identity("short", wall + 15)))
    pair = Pair(server=server).run()
    pair.step()
    assert server.epoch == 2
    assert server.next_deadline() == 15.0
    assert not server.may_send(15.0)


# Faults of our own


def _broken(*_: object) -> NoReturn:
    raise RuntimeError("a library fails in a way that it must not")


class _BrokenKem:
    generate = encapsulate = staticmethod(_broken)


@pytest.mark.protocol("P10.16", "P7.46")
@pytest.mark.parametrize("role", ROLES)
def test_a_fault_inside_ends_an_open_session_with_internal(role: Role) -> None:
    meeting: Any = role()
    secrets = secrets_of(meeting)
    meeting.ours._parts = msgspec.structs.replace(meeting.ours._parts, kem=_BrokenKem())
    begin = meeting.init if role is AtServer else lambda: meeting.say(HANDSHAKE, message(16))
    with pytest.raises(RuntimeError):
        begin()
    end = ended(meeting.ours.events())
    assert (end.code, end.local, end.truncated) == (Code.INTERNAL, True, False)
    assert meeting.hear() == [(CLOSE, u(Code.INTERNAL, 2))]
    assert all(secret.is_wiped for secret in secrets)


@pytest.mark.protocol("P10.16", "P5.18")
def test_a_fault_inside_ends_a_handshake_and_leaves_no_secret() -> None:
    credentials: Any = Credentials()
    credentials.check = _broken
    meeting = AtServer(established=False, credentials=credentials)
    meeting.until_flight()
    handshake: Any = meeting.server._handshake
    with pytest.raises(RuntimeError):
        meeting.take(meeting.peer.flight())
    assert ended(meeting.ours.events()).code == Code.INTERNAL
    assert all(secret.is_wiped for secret in handshake._secrets)


def test_a_session_ends_even_when_its_last_record_cannot_be_sealed() -> None:
    meeting: Any = AtServer()
    meeting.ours._sender.wipe()
    with pytest.raises(ApiMisuse):
        meeting.take(b"\x05")
    assert ended(meeting.ours.events()).code == Code.BAD_RECORD
    assert meeting.ours._receiver is None


def test_what_is_no_certificate_is_not_served_under() -> None:
    with pytest.raises(ApiMisuse, match="the certificate to serve under is none"):
        ServedCertificate.of(b"\x01\x00")


@pytest.mark.protocol("P10.16")
def test_a_fault_in_what_is_served_is_not_blamed_on_the_client() -> None:
    serving = Serving()
    meeting = AtServer(serving=serving)

    def break_down(_: bytes) -> NoReturn:
        raise ApiMisuse("no certificates yet")

    serving.serves = break_down  # type: ignore[method-assign]
    with pytest.raises(ApiMisuse):
        meeting.init()
    assert ended(meeting.ours.events()).code == Code.INTERNAL


@pytest.mark.protocol("P3.16")
@pytest.mark.parametrize("has_key", [True, False])
def test_a_proof_that_does_not_fit_the_certificate_is_not_sent(*, has_key: bool) -> None:
    serving = None if has_key else Serving(issue(classical_anchor_keys(), _classical()))
    meeting = AtServer(established=False, serving=serving)
    meeting.take(meeting.peer.hello())
    wanted = meeting.wanted[-1]
    under = signing_under(meeting.server, wanted)
    proof = prove(serving_keys(), wanted.kind, wanted.leaf_under(under))
    meeting.ours.to_send()
    with pytest.raises(ApiMisuse):
        meeting.server.provide_proof(wanted, under, msgspec.structs.replace(proof, pq=None) if has_key else proof, 0.0)
    assert meeting.ours.to_send() == []


def _classical() -> Any:
    keys = type(serving_keys())(serving_keys().classical, None)
    assert anchor_keys().classical is not keys.classical
    return keys


@pytest.mark.protocol("P5.24")
def test_a_proof_when_none_is_wanted_is_ignored() -> None:
    wanted = SignatureWanted(LeafKind.SERVER_VERIFY, None, lambda _: bytes(48))
    proof = Proof((), (), bytes(48), b"", b"")
    fresh, talking_server = make_server(), talking().server
    for server in (fresh, talking_server):
        server.provide_proof(wanted, Serving().current, proof, 0.0)
        assert server.to_send() == []
        assert server.events() == []


@pytest.mark.protocol("P7.52", "P10.12")
def test_the_client_does_not_begin_a_step_past_the_last_epoch() -> None:
    meeting: Any = AtClient()
    meeting.ours._sender.epoch = MAX_EPOCH
    meeting.at(meeting.ours.next_deadline())
    assert code_of(meeting) == Code.KEY_LIMIT


def test_a_step_outside_a_session_is_a_fault_of_ours() -> None:
    with pytest.raises(ApiMisuse):
        make_client()._begin_step()
    with pytest.raises(ApiMisuse):
        make_client()._seal(AUDIO, b"")  # type: ignore[arg-type]
    server: Any = make_server()
    with pytest.raises(ApiMisuse):
        server._issue_ticket(Secret.blank("res", 0), 0.0)
    server.request_rekey()
    assert server.to_send() == []


# Erased by hand, in each phase


def _at(role: Role, phase: str) -> Any:
    meeting: Any = role(established=phase in {"open", "step", "answered"})
    if phase == "hello":
        meeting.take(meeting.peer.hello())
    elif phase == "flight" and role is AtServer:
        meeting.until_flight()
    elif phase == "step":
        meeting.init()
    elif phase == "answered":
        meeting.answered() if role is AtServer else meeting.answer()
    return meeting


def _fields(part: object) -> list[object]:
    """What an object holds, in slots and without."""
    slots = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(part, "__dict__", {}).values(), *(getattr(part, name, None) for name in slots)]


@pytest.mark.protocol("P7.28", "P5.17")
@pytest.mark.parametrize("phase", ["start", "hello", "flight", "open", "step", "answered"])
@pytest.mark.parametrize("role", ROLES)
def test_erased_in_any_phase_a_session_is_of_no_use_and_does_no_harm(role: Role, phase: str) -> None:
    meeting = _at(role, phase)
    made: list[Secret] = []
    for part in (meeting.ours, meeting.ours._handshake, meeting.ours._step):
        for value in _fields(part):
            made += [thing for thing in (value if isinstance(value, tuple) else (value,)) if isinstance(thing, Secret)]
    meeting.ours.to_send()
    meeting.ours.erase()
    meeting.ours.erase()
    assert all(secret.is_wiped for secret in made)
    assert meeting.ours.seal_audio(b"x", 0.0) is None
    assert not meeting.ours.send_json(b"{}", 0.0)
    assert meeting.ours.epoch == meeting.ours.generation == 0
    meeting.take(b"\x80whatever comes now")
    meeting.ours.close(1000, 0.0)
    assert meeting.ours.to_send() == []
    assert meeting.ours.has_ended


# A peer's cunning


@pytest.mark.protocol("P3.27", "P6.2")
def test_a_replacement_certificate_that_is_empty_is_no_certificate() -> None:
    assert judged_by_client("RekeyVerify", lambda made: with_tlv(made, 5, b"")) == Code.BAD_RECORD


@pytest.mark.protocol("P3.24", "P3.64")
def test_a_share_that_fails_in_a_step_ends_it() -> None:
    meeting: Any = AtClient()
    step = meeting.init()
    share = meeting.ours._step.share
    answer = meeting.peer.rekey_answer(step)
    meeting.ours._step.share = _Unwilling(share)
    meeting.say(HANDSHAKE, answer)
    assert code_of(meeting) == Code.ILLEGAL_SHARE
    with pytest.raises(ApiMisuse):
        share.finish(b"")


class _Unwilling:
    """A share that refuses whatever comes; it is erased with the session."""

    def __init__(self, share: Any) -> None:
        self.group, self.public, self.erase = share.group, share.public, share.erase

    def finish(self, _: bytes) -> NoReturn:
        raise IllegalShare("a share that leads nowhere")


def test_tickets_are_counted_by_the_epoch_they_come_under() -> None:
    """Four under the old epoch after the client has switched, and four under the new one."""
    meeting = AtClient()
    meeting.answer()
    meeting.hear()
    for _ in range(4):
        meeting.say(HANDSHAKE, message(15, t1=u(60, 4), t2=b"t"))
    meeting.switch()
    for _ in range(4):
        meeting.say(HANDSHAKE, message(15, t1=u(60, 4), t2=b"t"))
    assert code_of(meeting) is None
    meeting.say(HANDSHAKE, message(15, t1=u(60, 4), t2=b"t"))
    assert code_of(meeting) == Code.RATE_LIMITED


def test_names_in_a_certificate_cannot_write_on_a_terminal() -> None:
    encoded = issue(anchor_keys(), serving_keys(), authorities=("\x1b[2J\u202e", *(f"{n}.example" for n in range(60))))
    pair = Pair(server=make_server(serving=Serving(encoded))).run()
    end = ended(pair.client_events)
    assert end.code == Code.AUTH_FAILED
    assert "does not name" in end.reason
    assert end.reason.isprintable()
    assert len(end.reason) < 400


def test_a_ticket_that_was_never_sent_cannot_have_been_accepted() -> None:
    assert judged_by_client("ServerHello", lambda made: with_tlv(made, 5, b"\x01")) == Code.BAD_RECORD


@pytest.mark.parametrize("role", [ServerOverTwo, ClientOverTwo])
def test_a_fault_of_ours_while_a_datagram_is_opened(role: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = role()
    record = meeting.lossy_out.seal(u(0, 1) + b"x" + u(PING, 1))
    monkeypatch.setattr(type(meeting.ours), "_on_frame", lambda *_, **__: _broken())
    with pytest.raises(RuntimeError):
        meeting.throw(record)
    assert ended(meeting.ours.events()).code == Code.INTERNAL
    assert meeting.ours.open_datagram(record, 0.0) is None
