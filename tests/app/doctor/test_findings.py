from collections.abc import Iterable

import trio

from sottovoce.app.doctor.findings import Check, Finding, State, examine, fail, ok, report_of, told, warn
from sottovoce.primitives import SottovoceError


def finds(*findings: Finding) -> object:
    async def look() -> Iterable[Finding]:
        await trio.lowlevel.checkpoint()
        return findings

    return look


def check(name: str, *findings: Finding, rests_on: tuple[str, ...] = ()) -> Check:
    return Check(name, finds(*findings), rests_on)  # type: ignore[arg-type]  its shape is Look's


async def test_the_worst_stands_first_and_equals_keep_their_order() -> None:
    report = await examine(
        [
            check("a", ok("a", "well")),
            check("b", warn("b", "so", "do")),
            check("c", fail("c", "no", "do"), ok("d", "x")),
        ]
    )
    assert [each.name for each in report.findings] == ["c", "b", "a", "d"]
    assert (report.failed, report.warned) == (1, 1)


async def test_what_rests_on_a_failure_waits_for_it_and_is_not_counted() -> None:
    report = await examine(
        [
            check("hsm", fail("pin", "wrong", "mend")),
            check("keys", ok("keys", "never looked at"), rests_on=("hsm",)),
            check("calls", ok("calls", "never looked at"), rests_on=("keys",)),
            check("other", ok("other", "well"), rests_on=("nothing of that name",)),
        ]
    )
    assert report.failed == 1
    waiting = {each.name: each for each in report.findings if each.state is State.WAITS}
    assert set(waiting) == {"keys", "calls"}
    assert {each.waits_for for each in waiting.values()} == {"pin"}
    assert {each.what for each in waiting.values()} == {"waits for pin"}


async def test_a_warning_keeps_nobody_waiting() -> None:
    report = await examine([check("a", warn("a", "so", "do")), check("b", ok("b", "well"), rests_on=("a",))])
    assert [each.state for each in report.findings] == [State.WARN, State.OK]


async def test_what_the_system_does_not_show_is_a_warning() -> None:
    async def look() -> Iterable[Finding]:
        await trio.lowlevel.checkpoint()
        raise PermissionError(13, "Permission denied")

    (finding,) = (await examine([Check("disk", look)])).findings
    assert finding.state is State.WARN
    assert finding.what == "cannot be looked at (Permission denied)"
    assert finding.remedy


def test_of_what_was_found_twice_the_worse_counts_and_once() -> None:
    report = report_of([ok("clock", "kept"), fail("clock", "off", "set"), fail("clock", "off", "set"), ok("x", "1")])
    assert report.findings == (fail("clock", "off", "set"), ok("x", "1"))


def test_an_error_line_of_ours_is_taken_apart() -> None:
    assert told("x", SottovoceError("it is so; do that")) == fail("x", "it is so", "do that")
    assert told("x", SottovoceError("/a: it is so: do that")) == fail("x", "/a: it is so", "do that")
    assert told("x", SottovoceError("it is so")).what == "it is so"
    assert told("x", SottovoceError("it is so")).remedy


def test_somebody_elses_words_are_made_to_fit() -> None:
    assert ok("x", "a\nb\x1b").what == "a?b?"
    assert len(ok("x", "a" * 10_000).what) <= 600
