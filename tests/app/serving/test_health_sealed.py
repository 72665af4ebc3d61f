"""How a proxy says that its HSM is sealed: one cause, one reason, and nothing of what follows from it."""

import pytest

from sottovoce.admin import SealShown
from sottovoce.app.serving.health import Health, Tokens
from sottovoce.hsm import TokenDown, TokenSealed, TokenUp
from sottovoce.hsm.seal import SealStatus, State
from sottovoce.identity import BatchFailed, TicketKeyFailed
from sottovoce.pki import RenewalFailed
from sottovoce.session import LeafKind
from tests.app.serving.test_health import WALL, Clock, the_one, told_at_the_start


class Seal:
    """A seal that a test sets."""

    def __init__(self, state: State = State.SEALED, have: int = 0) -> None:
        self.status = SealStatus(state, int(WALL), "somebody left", have, 2, 3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def new_health(clock: Clock, seal: Seal, tokens: str = "a") -> Health:
    health = Health(clock, Tokens(clock, {name: f"hsm.nodes.{name}" for name in tokens}, 1))
    health.seal = seal
    return health


@pytest.mark.parametrize("tokens", ["a", "abc"])
def test_at_a_start_it_is_the_only_reason_and_the_only_cause(clock: Clock, tokens: str) -> None:
    health = new_health(clock, Seal(), tokens)
    for name in tokens:
        health.token(name, TokenSealed("the HSM is sealed"))
    clock.moved = 90.0
    assert health.readiness().reasons == ("sealed",)
    concern = the_one(health)
    assert (concern.severity, concern.cause) == ("unready", "hsm")
    assert concern.what.startswith("sealed since 1 min 30 s: somebody left; there is no TLS certificate yet; there")
    assert concern.remedy == "2 of 3 shares unseal it"
    assert health.hsm.state == "sealed"
    assert [token.state for token in health.hsm.tokens] == ["sealed"] * len(tokens)
    assert health.seal_shown == SealShown("sealed", 90.0, "somebody left", 0, 2, 3)


def test_while_it_is_being_unsealed_it_is_sealed_and_says_how_far(clock: Clock) -> None:
    health = new_health(clock, Seal(State.UNSEALING, 1))
    health.token("a", TokenUp(7))
    told_at_the_start(health)
    assert health.readiness().reasons == ("sealed",)
    assert the_one(health).what == "it is being unsealed, with 1 of 2 shares; sealed: somebody left"


def test_what_fails_because_of_it_is_no_cause_of_its_own_neither_then_nor_afterwards(clock: Clock) -> None:
    seal = Seal()
    health = new_health(clock, seal)
    health.token("a", TokenUp(7))
    told_at_the_start(health)
    health.token("a", TokenSealed("the HSM is sealed"))
    health.batch(BatchFailed(LeafKind.SERVER_VERIFY, 3, "the HSM is sealed"))
    health.certificate("voice", RenewalFailed("the HSM is sealed", 1.0, 0))
    health.ticket_key(TicketKeyFailed("the HSM is sealed", 1.0, seals=False))
    assert the_one(health).cause == "hsm"
    seal.status = Seal(State.UNSEALED).status
    health.unsealed()
    assert "is being started" in the_one(health).what
    health.token("a", TokenUp(8))
    assert list(health.concerns()) == []
    assert health.readiness().ready
    assert health.hsm.replacements == 0, "it was not lost"


def test_a_token_that_does_not_start_afterwards_is_told_as_ever(clock: Clock) -> None:
    health = new_health(clock, Seal(State.UNSEALED))
    health.token("a", TokenSealed("the HSM is sealed"))
    health.unsealed()
    health.token("a", TokenDown("there is no PIN for node a"))
    assert "there is no PIN for node a" in the_one(health).what


def test_without_a_seal_nothing_is_shown(clock: Clock) -> None:
    health = Health(clock, Tokens(clock, {"main": "hsm"}, 1))
    assert health.seal_shown is None
