"""The states of a seal: every way from one to another, and that there are no others."""

from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sottovoce.hsm.seal import SealClosed, SealOpened, SealRefused, ShareCounted, State, UnsealingEnded
from sottovoce.hsm.seal.machine import SealMachine
from sottovoce.primitives import ApiMisuse


def machine(wanted: int = 2) -> SealMachine:
    return SealMachine(wanted, reason="started", unseal_seconds=900)


def unsealed() -> SealMachine:
    seal = machine()
    seal.share_counted(0)
    seal.share_counted(0)
    seal.opened()
    return seal


def test_from_sealed_to_unsealed_and_back() -> None:
    seal = machine()
    assert (seal.state, seal.next_deadline()) == (State.SEALED, None)
    assert seal.share_counted(10) == [ShareCounted(1, 2)]
    assert (seal.state, seal.next_deadline()) == (State.UNSEALING, 910)
    assert seal.share_counted(500) == [ShareCounted(2, 2)]
    assert seal.next_deadline() == 910
    assert seal.opened() == [SealOpened()]
    assert (seal.state, seal.next_deadline()) == (State.UNSEALED, None)
    assert seal.seal("tamper") == [SealClosed("tamper")]
    assert (seal.state, seal.reason) == (State.SEALED, "tamper")


def test_sealed_twice_it_keeps_the_first_reason() -> None:
    seal = machine()
    assert seal.seal("again") == []
    assert seal.reason == "started"


def test_sealed_while_it_is_being_unsealed() -> None:
    seal = machine()
    seal.share_counted(0)
    assert seal.seal("stop") == [SealClosed("stop")]
    assert (seal.state, seal.have, seal.next_deadline()) == (State.SEALED, 0, None)


def test_what_is_not_done_in_time_is_given_up() -> None:
    seal = machine()
    seal.share_counted(10)
    assert seal.on_deadline(909.9) == []
    assert seal.on_deadline(910) == [UnsealingEnded(1, "the other shares did not come within 900 s")]
    assert (seal.state, seal.reason) == (State.SEALED, "started")
    assert seal.on_deadline(2000) == []


def test_given_up_for_another_reason() -> None:
    seal = machine()
    assert seal.given_up("no use") == []
    seal.share_counted(0)
    assert seal.given_up("gone") == [UnsealingEnded(1, "gone")]


def test_unsealed_no_share_is_wanted() -> None:
    seal = unsealed()
    with pytest.raises(SealRefused, match="unsealed already"):
        seal.share_counted(0)
    assert seal.given_up("no use") == []


def test_calls_out_of_order_are_our_own_fault() -> None:
    seal = machine()
    with pytest.raises(ApiMisuse):
        seal.opened()
    seal.share_counted(0)
    with pytest.raises(ApiMisuse):
        seal.opened()
    seal.share_counted(0)
    with pytest.raises(ApiMisuse):
        seal.share_counted(0)


class AnyOrder(RuleBasedStateMachine):
    """It is unsealed only after as many shares as it takes, all since it was last sealed."""

    times: ClassVar = st.floats(0, 500)

    @initialize(wanted=st.integers(2, 5))
    def begin(self, wanted: int) -> None:
        self.seal = machine(wanted)
        self.now = 0.0
        self.shares = 0
        self.first = 0.0

    @rule(later=times)
    def share(self, later: float) -> None:
        self.now += later
        self.seal.on_deadline(self.now)
        if self.seal.state is State.SEALED:
            self.shares, self.first = 0, self.now
        if self.seal.state is not State.UNSEALED and self.shares < self.seal.wanted:
            self.seal.share_counted(self.now)
            self.shares += 1

    @precondition(lambda self: self.seal.state is State.UNSEALING and self.seal.have == self.seal.wanted)
    @rule()
    def open(self) -> None:
        assert self.shares == self.seal.wanted
        assert self.now < self.first + 900
        self.seal.opened()

    @rule(gives_up=st.booleans())
    def close(self, *, gives_up: bool) -> None:
        was = self.seal.state
        events = self.seal.given_up("why") if gives_up else self.seal.seal("why")
        if was is State.UNSEALED and gives_up:
            assert events == []
            return
        assert len(events) == (was is not State.SEALED)
        self.shares = 0

    @invariant()
    def only_an_unsealing_has_a_deadline_and_shares(self) -> None:
        if not hasattr(self, "seal"):
            return
        is_unsealing = self.seal.state is State.UNSEALING
        assert (self.seal.next_deadline() is not None) == is_unsealing
        assert (self.seal.have > 0) == is_unsealing


test_in_any_order = AnyOrder.TestCase
