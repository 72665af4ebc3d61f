"""`Dispatch` over nodes that do as a test says: what goes where, and what becomes of it when a node fails."""

import msgspec
import pytest

from sottovoce.hsm import HsmBusy, HsmError, HsmUnavailable, HsmWrongPin, KeyMissing, OperationRefused, TokenState
from sottovoce.hsm.messages import Reply
from sottovoce.hsm.pool.calls import Call
from sottovoce.hsm.reports import Untimed
from tests.hsm.pool.told import QUESTION, Room


async def test_calls_go_to_whom_has_the_least_to_do_and_wait_where_all_are_busy() -> None:
    room = Room()
    calls = [room.submit() for _ in range(5)]
    assert [node.in_flight for node in room.nodes.values()] == [2, 2]
    assert room.dispatch.waiting == 1
    room.answer("b")
    assert room.calls_at("b")[-1] is calls[4]


async def test_among_those_that_have_equally_much_to_do_they_take_turns() -> None:
    room = Room("abc")
    asked: list[str] = []
    for _ in range(7):
        call = room.submit()
        asked.append(next(iter(call.out)))
        room.answer(asked[-1])
    assert asked == [*"abcabca"]


async def test_an_answer_is_the_calls_and_names_who_gave_it() -> None:
    room = Room("a")
    call = room.submit()
    room.answer("a")
    assert (call.node, call.outcome) == ("a", msgspec.Raw(b"an answer"))


async def test_what_takes_long_has_one_place_more_and_nothing_quick_waits_behind_it() -> None:
    room = Room("ab")
    long = [room.submit(is_long=True) for _ in range(3)]
    quick = [room.submit() for _ in range(5)]
    assert (room.calls_at("a"), room.calls_at("b")) == ([long[0], *quick[0:3:2]], [long[1], *quick[1:4:2]])
    assert room.dispatch.waiting == 2
    room.answer("b")
    assert room.calls_at("b")[-1] is long[2]
    room.dispatch.withdraw(quick[4])
    assert room.dispatch.waiting == 0


async def test_what_takes_long_is_refused_apart_from_what_is_quick() -> None:
    room = Room("a", limit=1)
    for _ in range(2):
        room.submit(is_long=True)
    with pytest.raises(HsmBusy):
        room.submit(is_long=True)
    room.submit()


async def test_full_it_refuses_at_once() -> None:
    room = Room("a", limit=1)
    for _ in range(3):
        room.submit()
    with pytest.raises(HsmBusy, match="1 calls wait for the token already"):
        room.submit()


async def test_a_caller_who_leaves_the_queue_is_never_asked_for() -> None:
    room = Room("a")
    calls = [room.submit() for _ in range(3)]
    room.dispatch.withdraw(calls[2])
    room.answer("a")
    assert (room.calls_at("a"), room.dispatch.waiting) == ([calls[1]], 0)


async def test_an_answer_that_nobody_waits_for_is_overwritten() -> None:
    room = Room("a")
    call = room.submit()
    room.dispatch.withdraw(call)
    attempt, body = room.nodes["a"].out.pop(), bytes(bytearray(b"a secret"))
    room.dispatch.answered(attempt, Reply(0, msgspec.Raw(body)), body)
    assert body == bytes(8)


async def test_an_answer_is_overwritten_when_its_caller_leaves() -> None:
    room = Room("a")
    call = room.submit()
    attempt, body = room.nodes["a"].out.pop(), bytes(bytearray(b"a secret"))
    room.dispatch.answered(attempt, Reply(0, msgspec.Raw(body)), body)
    room.dispatch.withdraw(call)
    assert body == bytes(8)


async def test_a_node_that_dies_gives_its_calls_to_others_before_all_that_wait() -> None:
    room = Room("ab")
    calls = [room.submit() for _ in range(6)]
    (first, second), (third, _) = room.calls_at("a"), room.calls_at("b")
    assert [first, third, second] == calls[:3]
    room.die("a")
    assert room.dispatch.waiting == 4
    room.answer("b")
    room.answer("b")
    assert room.calls_at("b") == [first, second]


async def test_what_must_not_be_sent_twice_fails_with_its_node_and_stays_away_from_others() -> None:
    room = Room("ab")
    call = room.submit(is_idempotent=False)
    room.die("a")
    assert isinstance(call.outcome, HsmUnavailable)
    assert str(call.outcome) == "the token went during sign (it died): its outcome is unknown"
    assert (call.node, call.attempts, room.calls_at("b")) == ("a", 1, [])


async def test_what_every_process_dies_of_is_given_up() -> None:
    room = Room("ab")
    call = room.submit()
    for name in "ababa":
        room.rise("ab".replace(name, ""))
        room.die(name)
    assert str(call.outcome) == "the token went 5 times during sign: it died"


async def test_a_suspects_calls_go_to_another_and_the_first_answer_counts() -> None:
    room = Room("ab")
    call = room.submit()
    room.late("a")
    assert (room.calls_at("a"), room.calls_at("b"), room.nodes["a"].suspicions) == ([call], [call], 1)
    room.answer("b")
    assert call.node == "b"
    room.answer("a")  # it did not hang after all: nobody wants that now
    assert (call.node, room.dispatch.waiting) == ("b", 0)


async def test_a_suspect_gets_nothing_new_while_another_is_well() -> None:
    room = Room("ab")
    once = room.submit(is_idempotent=False)
    room.late("a")
    calls = [room.submit() for _ in range(3)]
    assert (room.calls_at("a"), room.calls_at("b"), room.dispatch.waiting) == ([once], calls[:2], 1)
    room.die("b")
    assert room.calls_at("a") == [once, calls[0]]


async def test_of_one_node_a_late_call_waits_on_and_others_go_there_still() -> None:
    room = Room("a")
    first = room.submit()
    room.late("a")
    second = room.submit()
    assert (room.calls_at("a"), room.dispatch.waiting) == ([first, second], 0)


async def test_a_late_call_waits_for_another_node_and_is_content_with_the_first() -> None:
    room = Room("ab")
    room.die("b")
    call = room.submit()
    room.late("a")
    assert room.dispatch.waiting == 1
    room.answer("a")
    assert (call.node, room.dispatch.waiting) == ("a", 0)


async def test_where_all_who_have_it_are_late_the_next_is_asked() -> None:
    room = Room("abc")
    call = room.submit()
    room.late("a")
    room.late("b")
    assert [room.calls_at(name) for name in "abc"] == [[call]] * 3


async def test_what_hangs_five_tokens_is_not_tried_on_a_sixth() -> None:
    room = Room("abcdef")
    call = room.submit()
    for name in "abcde":
        room.late(name)
    assert (room.calls_at("e"), room.calls_at("f"), room.dispatch.waiting) == ([call], [], 0)


@pytest.mark.parametrize("error", [KeyMissing("no key"), HsmUnavailable("not now")])
async def test_a_fault_of_one_node_sends_the_call_to_another(error: HsmError) -> None:
    room = Room("ab")
    call = room.submit()
    room.answer("a", error=error)
    assert room.calls_at("b") == [call]
    room.answer("b", error=error)
    assert (type(call.outcome), call.node, room.dispatch.waiting) == (type(error), "b", 0)


async def test_a_fault_of_one_node_waits_for_the_other_that_has_the_call_too() -> None:
    room = Room("ab")
    call = room.submit()
    room.late("a")
    room.answer("a", error=KeyMissing("no key"))
    assert not call.is_over
    room.answer("b")
    assert call.node == "b"


async def test_the_callers_own_fault_is_told_once() -> None:
    room = Room("ab")
    call = room.submit()
    room.answer("a", error=OperationRefused("not so"))
    assert (str(call.outcome), room.calls_at("b")) == ("not so", [])


async def test_what_must_not_be_sent_twice_is_not_sent_to_another_on_any_error() -> None:
    room = Room("ab")
    call = room.submit(is_idempotent=False)
    room.answer("a", error=KeyMissing("no key"))
    assert (str(call.outcome), room.calls_at("b")) == ("no key", [])


async def test_a_call_goes_to_who_can_answer_it() -> None:
    room = Room("ab")
    busy = [room.submit(able="b") for _ in range(3)]
    other = room.submit(able="a")
    assert (room.calls_at("b"), room.calls_at("a"), room.dispatch.waiting) == (busy[:2], [other], 1)


async def test_what_no_node_can_answer_is_refused_at_once_and_what_one_that_is_down_might_waits() -> None:
    room = Room("ab")
    hopeless = room.submit(able="")
    assert str(hopeless.outcome) == "no token can answer sign"
    room.die("b")
    waits = room.submit(able="b")
    assert (waits.is_over, room.dispatch.waiting) == (False, 1)
    room.rise("b")
    assert room.calls_at("b") == [waits]


async def test_what_asking_raises_is_the_callers() -> None:
    room = Room("a")
    error = ZeroDivisionError("of the caller's")

    def ask(_: str) -> msgspec.Raw:
        raise error

    call = Call("sign", ask, is_idempotent=True, answer_seconds=1)
    room.dispatch.submit(call, "")
    assert (call.outcome, room.dispatch.waiting) == (error, 0)


async def test_a_slow_call_is_sent_to_an_idle_node_too() -> None:
    room = Room("ab")
    room.save(84)
    call = room.submit()
    assert room.nodes["a"].slow_seconds == 0.01
    room.slow("a")
    assert room.calls_at("b") == [call]
    room.answer("b")
    room.answer("a")
    assert (call.node, room.dispatch.hedges_won, room.dispatch.hedges_lost) == ("b", 1, 0)


async def test_a_second_sending_that_comes_second_is_lost() -> None:
    room = Room("ab")
    room.save(84)
    for name in "ab":
        room.dispatch.withdraw(room.submit())  # leaves before its answer
        room.answer(name)
    call = room.submit()
    room.slow("a")
    room.answer("a")
    room.answer("b")
    assert (call.node, room.dispatch.hedges_won, room.dispatch.hedges_lost) == ("a", 0, 1)
    left = room.submit()
    room.slow("a")
    room.dispatch.withdraw(left)
    assert (room.dispatch.hedges_won, room.dispatch.hedges_lost) == (0, 2)


async def test_a_slow_call_waits_until_a_node_is_idle() -> None:
    room = Room("ab")
    room.save(84)
    room.submit()
    others = [room.submit(able="b") for _ in range(3)]
    room.slow("a")
    assert room.calls_at("b") == others[:2]
    room.answer("b")
    assert room.calls_at("b") == others[1:]
    room.answer("b")
    assert room.calls_at("b") == [others[2], *room.calls_at("a")]


async def test_without_savings_of_one_node_and_for_what_must_not_be_sent_twice_there_is_no_second_sending() -> None:
    poor = Room("ab")
    poor.submit()
    poor.slow("a")
    assert poor.calls_at("b") == []
    alone = Room("a")
    alone.save(85)
    alone.submit()
    assert alone.nodes["a"].slow_seconds is None
    room = Room("ab")
    room.save(84)
    room.submit(is_idempotent=False)
    room.slow("a")
    assert (room.nodes["a"].slow_seconds, room.calls_at("b")) == (None, [])


async def test_for_a_second_sending_that_is_not_paid_for_no_question_is_made() -> None:
    asked: list[str] = []

    def question_for(node: str) -> msgspec.Raw:
        asked.append(node)
        return QUESTION

    room = Room("ab")
    room.dispatch.submit(Call("sign", question_for, is_idempotent=True, answer_seconds=1), "")
    for _ in range(10):
        room.slow("a")
    assert asked == ["a"]


async def test_a_second_sending_to_a_node_that_dies_changes_nothing() -> None:
    room = Room("ab")
    room.save(84)
    call = room.submit()
    room.slow("a")
    room.die("b")
    assert (call.is_over, room.dispatch.waiting) == (False, 0)
    room.answer("a")
    assert (call.node, room.dispatch.hedges_lost) == ("a", 1)


async def test_a_late_call_that_another_node_has_already_is_not_sent_to_a_third() -> None:
    room = Room("abc")
    room.save(84)
    call = room.submit()
    room.slow("a")
    room.late("a")
    assert [room.calls_at(name) for name in "abc"] == [[call], [call], []]
    room.late("b")
    assert room.calls_at("c") == [call]


async def test_locked_nodes_take_nothing_and_where_all_are_nobody_waits() -> None:
    room = Room("ab")
    for name in "ab":
        room.die(name)
    waits = room.submit()
    room.nodes["a"].state = TokenState.LOCKED
    room.dispatch.locked()
    assert not waits.is_over
    room.nodes["b"].state = TokenState.LOCKED
    room.dispatch.locked()
    assert isinstance(waits.outcome, HsmWrongPin)
    with pytest.raises(HsmWrongPin, match="a is away"):
        room.submit()


async def test_a_start_fails_where_no_node_comes_up_with_what_the_first_one_said() -> None:
    room = Room("ab")
    room.dispatch.did_not_start("b", KeyMissing("of b"))
    with pytest.raises(KeyMissing, match="of a"):
        room.dispatch.did_not_start("a", KeyMissing("of a"))
    other = Room("ab")
    other.dispatch.did_not_start("b", KeyMissing("of b"))
    other.dispatch.came_up()
    other.dispatch.did_not_start("a", KeyMissing("of a"))
    assert other.dispatch.started.is_set()


async def test_how_long_a_call_waited_is_told_once_with_the_node_that_it_was_sent_to() -> None:
    class Heard(Untimed):
        waited: list[str] = []  # noqa: RUF012  of this test alone

        def call_waited(self, node: str, seconds: float) -> None:
            self.waited.append(node)

    heard = Heard()
    room = Room("ab", times=heard)
    room.submit()
    room.die("a")
    assert heard.waited == ["a"]
