"""What is said of workers."""

from sottovoce.admin import WorkersStatus, WorkerStatus
from sottovoce.app.floor import Loss, Staff
from sottovoce.app.serving.health import LOSS_SECONDS, Health, Tokens
from sottovoce.app.serving.health.staff import staff_concerns
from sottovoce.hsm import TokenUp
from tests.app.serving.test_health import Clock


def staff(*states: str, losses: tuple[Loss, ...] = ()) -> Staff:
    each = tuple(WorkerStatus(number, 100 + number, state, 5.0, 0) for number, state in enumerate(states))  # type: ignore[arg-type]
    return Staff(WorkersStatus(2, len(losses), each), losses)


LOSS = Loss(100.0, 1, "it was ended by SIGKILL")


def test_all_there_is_no_concern() -> None:
    assert list(staff_concerns(staff("serving", "serving", "draining"), 200.0)) == []


def test_one_of_two_is_degraded_none_is_unready_and_a_replaced_one_a_notice_for_a_while() -> None:
    (one,) = staff_concerns(staff("serving", "starting", losses=(LOSS,)), 110.0)
    assert (one.severity, one.cause) == ("degraded", "workers")
    assert one.what == "1 of 2 takes calls; worker 1 10 s ago: it was ended by SIGKILL"
    (none,) = staff_concerns(staff("starting"), 500.0)
    assert (none.severity, none.what) == ("unready", "0 of 2 take calls")
    (back,) = staff_concerns(staff("serving", "serving", losses=(LOSS,)), 110.0)
    assert (back.severity, back.what.partition(",")[0]) == ("notice", "one was lost")
    assert list(staff_concerns(staff("serving", "serving", losses=(LOSS,)), 101.0 + LOSS_SECONDS)) == []


def test_without_any_worker_new_calls_should_go_elsewhere() -> None:
    class Carrying:
        staff: Staff | None = staff("serving")

    clock = Clock()
    health, carrying = Health(clock, Tokens(clock, {"main": "hsm"}, 1)), Carrying()
    health.token("main", TokenUp(7))
    health.carrying = carrying
    assert "no_worker" not in health.readiness().reasons
    carrying.staff = staff("starting")
    assert "no_worker" in health.readiness().reasons
    assert [each.cause for each in health.concerns() if each.severity == "unready"][:1] == ["workers"]
