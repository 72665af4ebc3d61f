"""Protocol §7: the switch from one epoch to the next, each side against a foreign peer."""

import pytest

from sottovoce.primitives import Suite
from sottovoce.session.events import EpochStarted
from sottovoce.wire import Code
from tests.session.dialogue import talking
from tests.session.foreign_bytes import AUDIO, PING, SWITCH, u
from tests.session.meeting import AtClient, AtServer, code_of

STEP = (SWITCH, u(2, 4))


@pytest.mark.protocol("P7.18", "P7.20")
def test_the_client_switches_at_once_and_pings_without_audio() -> None:
    meeting = AtClient()
    meeting.answer()
    records = meeting.ours.to_send()
    assert [meeting.read(record)[0] for record in records] == [SWITCH, PING]
    assert [record[:2] for record in records] == [b"\x81\x10", b"\x80\x20"]
    audio = meeting.client.seal_audio(b"abc", meeting.now)
    assert audio is not None
    assert audio[:2] == b"\x81\x20"


@pytest.mark.protocol("P7.17", "P7.19", "P7.20")
def test_the_server_switches_on_the_first_record_of_the_new_epoch() -> None:
    meeting = AtServer()
    meeting.answered()
    assert meeting.server.seal_audio(b"a", 0.0) is not None
    meeting.into.sent += 1
    assert meeting.switch() == []
    assert meeting.hear() == [], "a switch alone moves the server's receiver only"
    assert meeting.server.epoch == 1
    events = meeting.say(AUDIO, b"\0first")
    assert EpochStarted(2, reauthenticated=True) in events
    heard = meeting.hear()
    assert [kind for kind, _ in heard] == [SWITCH, PING]
    assert heard[0] == STEP
    assert [record[:2] for record in meeting.raw[-2:]] == [b"\x82\x10", b"\x80\x20"]


@pytest.mark.protocol("P7.17")
def test_the_server_still_reads_the_old_epoch_until_the_switch() -> None:
    meeting = AtServer()
    meeting.answered()
    for _ in range(3):
        meeting.say(AUDIO, b"\0still")
    assert code_of(meeting) is None


@pytest.mark.protocol("P7.14", "P7.15", "P10.8")
@pytest.mark.parametrize("role", [AtServer, AtClient])
@pytest.mark.parametrize("epoch", [0, 1, 2, 3])
def test_a_switch_when_nothing_is_agreed(role: type[AtServer] | type[AtClient], epoch: int) -> None:
    meeting = role()
    meeting.say(SWITCH, u(epoch, 4))
    assert code_of(meeting) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.14", "P10.8")
@pytest.mark.parametrize("epoch", [0, 1, 3, 0xFFFFFFFF])
def test_a_switch_to_another_epoch(epoch: int) -> None:
    server = AtServer()
    server.answered()
    server.say(SWITCH, u(epoch, 4))
    assert code_of(server) == Code.REKEY_PROTOCOL
    client = AtClient()
    client.answer()
    client.say(SWITCH, u(epoch, 4))
    assert code_of(client) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.15")
def test_a_switch_before_the_answer() -> None:
    server = AtServer()
    server.init()
    server.say(SWITCH, u(2, 4))
    assert code_of(server) == Code.REKEY_PROTOCOL
    client = AtClient()
    client.init()
    client.say(SWITCH, u(2, 4))
    assert code_of(client) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.15")
def test_a_second_switch() -> None:
    server = AtServer()
    server.answered()
    server.switch()
    server.say(SWITCH, u(2, 4))
    assert code_of(server) == Code.REKEY_PROTOCOL
    client = AtClient()
    client.answer()
    client.switch()
    client.say(SWITCH, u(2, 4))
    assert code_of(client) == Code.REKEY_PROTOCOL


@pytest.mark.protocol("P7.34", "P7.37", "P11.1")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_a_record_of_the_old_epoch_after_the_switch(role: type[AtServer] | type[AtClient]) -> None:
    meeting = role()
    if isinstance(meeting, AtServer):
        meeting.answered()
    else:
        meeting.answer()
    old = meeting.out
    meeting.switch()
    meeting.take(old.seal(b"\0late\x01"))
    assert code_of(meeting) == Code.REPLAY_OR_GAP


@pytest.mark.protocol("P7.34", "P11.1")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_a_record_of_the_new_epoch_before_the_switch(role: type[AtServer] | type[AtClient]) -> None:
    meeting = role()
    if isinstance(meeting, AtServer):
        meeting.answered()
        new = meeting.peer.chain("c2s")
    else:
        meeting.answer()
        new = meeting.peer.chain("s2c")
    meeting.take(new.seal(b"\0early\x01"))
    assert code_of(meeting) == Code.REPLAY_OR_GAP


@pytest.mark.protocol("P7.33", "P7.34", "P11.1")
@pytest.mark.parametrize(("generation", "counter"), [(0, 1), (1, 0), (15, 0)])
def test_the_first_record_of_an_epoch_is_its_first(generation: int, counter: int) -> None:
    meeting = AtServer()
    meeting.answered()
    meeting.switch()
    meeting.take(meeting.out.seal_at(generation, counter, b"\0x\x01"))
    assert code_of(meeting) == Code.REPLAY_OR_GAP


@pytest.mark.protocol("P11.39", "P7.19")
def test_a_silent_server_and_a_muted_client_still_switch() -> None:
    pair = talking(epoch_seconds=10)
    assert pair.client.send_mute(0.0, muted=True)
    pair.run()
    for epoch in (2, 3, 4):
        pair.step()
        assert pair.client.epoch == pair.server.epoch == epoch
        assert pair.client.is_open


@pytest.mark.protocol("P7.7")
def test_many_steps_one_after_the_other() -> None:
    pair = talking(epoch_seconds=2, messages_per_key=16)
    for epoch in range(2, 40):
        pair.step()
        assert pair.client.epoch == pair.server.epoch == epoch
        pair.voice(up=40, down=35)
    assert pair.client_events.count(EpochStarted(20, reauthenticated=True)) == 1


@pytest.mark.protocol("P5.14", "P5.15", "P7.4")
@pytest.mark.parametrize("suite", [0x0001, 0x0002, 0x0101])
def test_steps_with_a_foreign_peer_on_either_side(suite: int) -> None:
    server = AtServer(client={"suites": (suite,)})
    client = AtClient(server={"suite": suite}, suites=(Suite(suite),))
    for epoch in range(2, 20):
        server.now += 20
        server.answered()
        server.switch()
        server.say(AUDIO, b"\0x")
        client.answer()
        client.hear()
        client.switch()
        client.say(AUDIO, b"\0x")
        server.hear()
        assert server.server.epoch == client.client.epoch == epoch
        assert code_of(server) is code_of(client) is None
