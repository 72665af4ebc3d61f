"""Protocol §5, §7, §11: every secret and every key that a session makes, and which of them live after each stage.

All are held here from the moment they are made, so none is gone only because nobody looks at it any more.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from sottovoce.primitives import Secret, Suite
from sottovoce.session import LossyChain, ReceiveChain, SendChain, ServerConfig, session
from sottovoce.session.ratchet import Generation
from sottovoce.wire import WireError
from tests.session.carriers import ServerOverTwo, answered, new_datagrams, sealed, two_carriers
from tests.session.dialogue import Box, Pair, flipped, make_server
from tests.session.foreign_bytes import Chain
from tests.session.meeting import AtClient, AtServer

PER_KEY = 16
SUITE = Suite.X25519MLKEM768_AES256GCM


class Made:
    """What was made since the test began."""

    def __init__(self) -> None:
        self.secrets: list[Secret] = []
        self.generations: list[Generation] = []

    def live(self) -> Counter[str]:
        """How many secrets of each name hold something, signing seeds left out."""
        return Counter(secret.name for secret in self.secrets if not secret.is_wiped and secret.name != "seed")

    def keys(self) -> int:
        """How many generations of an SFrame chain can still be used."""
        return sum(generation.nonce_head != bytes(10) for generation in self.generations)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    found = Made()

    def noting(kept: list[Any], original: Callable[..., None]) -> Callable[..., None]:
        def make(thing: object, *arguments: object) -> None:
            kept.append(thing)
            original(thing, *arguments)

        return make

    monkeypatch.setattr(Secret, "__init__", noting(found.secrets, Secret.__init__))
    monkeypatch.setattr(Generation, "__init__", noting(found.generations, Generation.__init__))
    return found


ONE = {"rekey": 2, "res": 1}
"""Beside the chains': rk[e] of both ends, and the client's res[e] for tickets that may come."""


@pytest.mark.protocol("P5.17", "P5.18", "P5.20", "P5.21", "P5.22", "P7.28", "P7.37", "P11.41")
@pytest.mark.parametrize("tickets", [Box(), None])
def test_a_sessions_whole_life(made: Made, tickets: Box | None) -> None:
    """Handshake, three generations, a root step, the end; a ticket's psk is the client's, and lives on."""
    config = ServerConfig(epoch_seconds=10, messages_per_key=PER_KEY)
    pair = Pair(server=make_server(config, tickets=tickets)).run()
    psk = {} if tickets is None else {"psk": 1}
    assert made.live() == {"c2s": 2, "s2c": 2, **ONE, **psk}
    assert made.keys() == 4
    pair.voice(up=3 * PER_KEY, down=3 * PER_KEY)
    assert made.keys() == 4
    assert made.live() == {"sframe base": 4, **ONE, **psk}
    pair.step()
    psk = {} if tickets is None else {"psk": 2}
    assert made.live() == {"c2s": 2, "s2c": 2, **ONE, **psk}
    assert made.keys() == 4
    pair.client.close(1000, pair.now)
    pair.run()
    assert made.live() == psk
    assert made.keys() == 0


@pytest.mark.protocol("P5.17", "P5.22", "P7.28", "P7.37", "P7.39")
def test_a_sessions_whole_life_over_two_carriers(made: Made) -> None:
    pair = two_carriers(epoch_seconds=10, messages_per_key=PER_KEY)
    assert made.live() == {"c2s": 2, "s2c": 2, "c2s ctl": 2, "s2c ctl": 2, **ONE}
    assert made.keys() == 8
    for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
        for _ in range(PER_KEY + 1):
            assert receiver.open_datagram(sealed(sender, b"x", 0.0), 0.0) == b"\0x"
    assert made.keys() == 8 + 2, "each end keeps the generation before for late datagrams"
    for end in (pair.client, pair.server):
        end.on_deadline(2.0)
    assert made.keys() == 8
    assert made.live() == {"sframe base": 4, "c2s ctl": 2, "s2c ctl": 2, **ONE}
    pair.step()
    pair.tick(pair.now + 2.0)
    assert made.live() == {"c2s": 2, "s2c": 2, "c2s ctl": 2, "s2c ctl": 2, **ONE}
    assert made.keys() == 8
    pair.server.close(1000, pair.now)
    pair.run()
    assert made.live() == {}
    assert made.keys() == 0


@pytest.mark.protocol("P5.18", "P5.20")
def test_a_step_leaves_nothing_of_what_it_was_made_from(made: Made) -> None:
    """Between answer and switch both epochs' chains are there, and no shared secret and no root."""
    server = AtServer()
    server.answered()
    assert made.live() == {"c2s": 2, "s2c": 2, "rekey": 1, "res": 1}
    made.secrets.clear()
    client = AtClient()
    client.answer()
    assert made.live() == {"c2s": 1, "s2c": 2, "rekey": 1, "res": 2}


@pytest.mark.protocol("P7.28", "P5.21")
@pytest.mark.parametrize("point", ["signature", "answered", "switched", "done"])
def test_a_server_that_ends_anywhere_in_a_step(made: Made, point: str) -> None:
    meeting = AtServer()
    match point:
        case "signature":
            meeting.init()
        case "answered":
            meeting.answered()
        case "switched":
            meeting.answered()
            meeting.switch()
            assert made.live()["res"] == 1, "it waits for the first record under its epoch"
        case _:
            meeting.answered()
            meeting.switch()
            meeting.say(1, b"\0x")
    meeting.ours.carriage_ended()
    assert made.live() == {}
    assert made.keys() == 0


@pytest.mark.protocol("P7.28", "P5.21")
@pytest.mark.parametrize("point", ["begun", "answered", "done"])
def test_a_client_that_ends_anywhere_in_a_step(made: Made, point: str) -> None:
    meeting = AtClient()
    if point == "begun":
        meeting.init()
    else:
        meeting.answer()
    if point == "done":
        meeting.hear()
        meeting.switch()
    meeting.ours.carriage_ended()
    assert made.live() == {}
    assert made.keys() == 0


@pytest.mark.protocol("P7.28", "P5.17")
def test_a_server_over_two_carriers_that_ends_in_a_step(made: Made) -> None:
    for overtaken in (False, True):
        meeting = ServerOverTwo()
        answered(meeting)
        if overtaken:
            meeting.throw(new_datagrams(meeting).seal(b"\0x\x01"))
        meeting.ours.carriage_ended()
        assert made.live() == {}
        assert made.keys() == 0


@pytest.mark.protocol("P7.28", "P11.41")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_a_fault_of_ours_while_the_first_chains_are_made_leaves_nothing(
    made: Made, monkeypatch: pytest.MonkeyPatch, role: type[AtServer] | type[AtClient]
) -> None:
    def fails(*_: object, **__: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(session, "chains_of", fails)
    with pytest.raises(MemoryError):
        role()
    assert sum(secret.name in {"c2s", "s2c", "rekey", "res"} for secret in made.secrets) >= 4
    assert made.live() == {}


# A chain alone


def _chains(kind: type[SendChain] | type[ReceiveChain] | type[LossyChain]) -> Any:
    return kind(Secret("c2s", bytes(range(64))), 1, SUITE, PER_KEY)


@pytest.mark.protocol("P5.22", "P7.36")
def test_a_generation_that_was_only_tried_leaves_nothing_and_takes_nothing(made: Made) -> None:
    """The first record of the next generation, with a wrong tag: its keys go, those of this one stay."""
    peer, ours = Chain(bytes(range(64)), 1, int(SUITE), PER_KEY), _chains(ReceiveChain)
    for _ in range(PER_KEY):
        ours.open(peer.seal(b"x"))
    record = peer.seal(b"next")
    with pytest.raises(WireError):
        ours.open(flipped(record, len(record) - 1))
    assert (made.live(), made.keys()) == ({"c2s": 1}, 1)
    assert ours.open(record) == b"next"
    assert (made.live(), made.keys()) == ({"sframe base": 1}, 1)


@pytest.mark.protocol("P5.22", "P7.1")
def test_a_sender_has_the_keys_of_one_generation(made: Made) -> None:
    ours = _chains(SendChain)
    for _ in range(5 * PER_KEY):
        ours.seal(b"x")
        assert sum(made.live().values()) == made.keys() == 1


@pytest.mark.protocol("P5.22", "P7.40")
@pytest.mark.parametrize("steps", [1, 2, 14])
@pytest.mark.parametrize("is_next_epoch", [False, True])
def test_a_jump_of_a_lossy_chain_leaves_nothing_behind(made: Made, steps: int, *, is_next_epoch: bool) -> None:
    """A wrong tag: all as it was.  A right one: one base key, and the keys of what is kept for two seconds."""
    base = bytes(range(64, 128)) if is_next_epoch else bytes(range(64))
    peer, ours = Chain(base, 1 + is_next_epoch, int(SUITE), PER_KEY), _chains(LossyChain)
    if is_next_epoch:
        ours.prepare(Secret("c2s", base))
    record = peer.seal_at(steps, 3, b"ahead")
    assert ours.open(flipped(record, len(record) - 1), 0.0) is None
    assert (made.live(), made.keys()) == ({"c2s": 1 + is_next_epoch}, 1)
    assert ours.open(record, 0.0) == b"ahead"
    assert made.live() == {"sframe base": 1}
    assert made.keys() == (2 if is_next_epoch or steps == 1 else 1)
    ours.forget(2.0)
    assert made.keys() == 1
    ours.wipe()
    assert (made.live(), made.keys()) == ({}, 0)
