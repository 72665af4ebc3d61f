"""Whatever nodes do in whatever order: no call is lost, sent twice to one, or kept from a node that is free."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm import HsmBusy, KeyMissing, OperationRefused
from sottovoce.hsm.pool.calls import Call
from tests.hsm.pool.told import ROOM, Room

LIMIT = 20


class Play:
    """A room and the calls whose callers wait; each step picks what it is about by a number."""

    def __init__(self) -> None:
        self.room = Room("abc", limit=LIMIT)
        self.room.save(85)
        self.calls: list[Call] = []

    def submit(self, choice: int) -> None:
        able = ["abc", "abc", "ab", "c", ""][choice % 5]
        try:
            self.calls.append(self.room.submit(able=able, is_idempotent=choice % 3 != 0, is_long=choice % 4 == 1))
        except HsmBusy:
            assert self.room.dispatch.waiting >= LIMIT

    def leave(self, choice: int) -> None:
        if self.calls:
            self.room.dispatch.withdraw(self.calls.pop(choice % len(self.calls)))

    def answer(self, choice: int) -> None:
        self._answer(choice, None)

    def miss(self, choice: int) -> None:
        self._answer(choice, KeyMissing("none"))

    def refuse(self, choice: int) -> None:
        self._answer(choice, OperationRefused("no"))

    def slow(self, choice: int) -> None:
        name, index = self._one_out(choice)
        if name and not self.room.nodes[name].out[index].is_late:
            self.room.slow(name, index)

    def late(self, choice: int) -> None:
        name, index = self._one_out(choice)
        if name and not self.room.nodes[name].out[index].is_late:
            self.room.late(name, index)

    def toggle(self, choice: int) -> None:
        name = "abc"[choice % 3]
        if self.room.nodes[name].is_up:
            self.room.die(name)
        else:
            self.room.rise(name)

    def end_well(self) -> None:
        for name, node in self.room.nodes.items():
            if not node.is_up:
                self.room.rise(name)
        while any(node.out for node in self.room.nodes.values()):
            self.answer(0)
            self.look()

    def look(self) -> None:
        """See that each call is somewhere, nowhere twice, and does not wait while a node that can answer is free."""
        nodes, waiting = self.room.nodes, self._waiting
        for call in self.calls:
            at = {name for name in nodes if call in self.room.calls_at(name)}
            assert call.is_over or (at == set(call.out) and (at or call in waiting))
            assert call.is_idempotent or call.attempts <= 1
            if call in waiting:
                free = {name for name, node in nodes.items() if node.is_well and node.has_room(is_long=call.is_long)}
                assert not call.is_over
                assert free <= call.unable | set(call.out)
        for name, node in nodes.items():
            assert len(set(self.room.calls_at(name))) == node.in_flight <= ROOM + 1

    @property
    def _waiting(self) -> set[Call]:
        return {call for line in self.room.dispatch._lines.values() for call in self.calls if call in line}

    def _one_out(self, choice: int) -> tuple[str, int]:
        out = [(name, index) for name, node in self.room.nodes.items() for index in range(node.in_flight)]
        return out[choice % len(out)] if out else ("", 0)

    def _answer(self, choice: int, error: KeyMissing | OperationRefused | None) -> None:
        name, index = self._one_out(choice)
        if name:
            self.room.answer(name, index, error)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                Play.submit,
                Play.submit,
                Play.answer,
                Play.miss,
                Play.refuse,
                Play.toggle,
                Play.slow,
                Play.late,
                Play.leave,
            ]
        ),
        st.integers(0, 59),
    ),
    max_size=80,
)


@given(steps=STEPS)
async def test_whatever_nodes_do(steps: list[tuple[Any, int]]) -> None:
    play = Play()
    for step, choice in steps:
        step(play, choice)
        play.look()
    play.end_well()
    assert all(call.is_over for call in play.calls)
    assert play.room.dispatch.waiting == 0
