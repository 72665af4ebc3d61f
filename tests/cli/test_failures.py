import errno
import importlib
from collections.abc import Callable

import pytest
import trio

from sottovoce.audit import AuditFailed
from sottovoce.cli import failures
from sottovoce.cli.failures import lines_of
from sottovoce.client import CallMisconfigured
from sottovoce.settings import ConfigurationInvalid, Problem
from tests.cli.conftest import Cli, Ran

SECRET = "hunter2-7f3a"
REPORT = "please report it, with what SOTTOVOCE_DEBUG=1 adds"


def raised(error: BaseException) -> BaseException:
    """Give an error as it is after it was raised, with a place."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def a_bug() -> None:
    pin = SECRET
    raise ValueError(pin)


def a_bug_inside_trio() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            a_bug()

    trio.run(main)


def test_an_error_of_ours_is_its_text() -> None:
    assert lines_of(AuditFailed("the log: mend it")) == ["the log: mend it"]
    assert lines_of(AuditFailed()) == ["AuditFailed"]


def test_each_problem_of_a_configuration_is_a_line() -> None:
    problems = [Problem("a.b", "is wrong", "mend it"), Problem("c", "is missing", "add it")]
    assert lines_of(ConfigurationInvalid(problems)) == ["a.b: is wrong; mend it", "c: is missing; add it"]


def test_groups_are_taken_apart_and_nothing_is_said_twice() -> None:
    inner = ExceptionGroup("", [AuditFailed("one"), AuditFailed("one"), CallMisconfigured("two", "mend it")])
    group = BaseExceptionGroup("", [ExceptionGroup("", [inner]), AuditFailed("three")])
    assert lines_of(group) == ["one", "two; mend it", "three"]


def test_a_line_is_printable_whatever_it_names() -> None:
    assert lines_of(AuditFailed("a\x1b[31m\tb")) == ["a\\x1b[31m\\tb"]


def test_the_system_s_refusal_is_named() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/var/x")
    assert lines_of(error) == [
        "/var/x: No space left on device; the system refused this, mend it and run the command again"
    ]


def test_a_missing_package_is_named_with_what_brings_it() -> None:
    error = ModuleNotFoundError("No module named 'pkcs11'", name="pkcs11")
    assert lines_of(error) == ["the package pkcs11 is missing: pip install 'sottovoce[server]'"]
    assert lines_of(ModuleNotFoundError(name="sottovoce.nonsense"))[0].startswith("internal error: ModuleNotFoundError")


def test_a_bug_is_its_type_and_place_and_never_its_text() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        a_bug()
    (line,) = lines_of(caught.value)
    assert line.startswith(f"internal error: ValueError at {__name__}:")
    assert line.endswith(f"; {REPORT}")
    assert SECRET not in line


def test_a_bug_is_placed_in_our_code_rather_than_in_the_library_that_raised_it() -> None:
    from sottovoce.audit import read_tail  # noqa: PLC0415  an example

    with pytest.raises(TypeError) as caught:
        read_tail(object(), 1)  # type: ignore[arg-type]
    assert lines_of(caught.value)[0].startswith("internal error: TypeError at sottovoce.audit.read:")


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert lines_of(KeyError("x")) == [f"internal error: KeyError at an unknown place; {REPORT}"]


# --- in a command ---------------------------------------------------------------------------------------------------


Failing = Callable[..., Ran]


@pytest.fixture
def failing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Run `sottovoce check` with something that raises in the place of the check."""
    checking = importlib.import_module("sottovoce.app.checking")

    def failing(raises: Callable[[], None], *words: str) -> Ran:
        monkeypatch.setattr(checking, "check", lambda *_: raises())
        return cli("check", *words)

    return failing


def raising(error: BaseException) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises


@pytest.mark.parametrize("bug", [a_bug, a_bug_inside_trio])
@pytest.mark.parametrize("debug", ["", "1"])
def test_a_bug_ends_a_command_with_one_line(
    failing: Failing, monkeypatch: pytest.MonkeyPatch, bug: Callable[[], None], debug: str
) -> None:
    monkeypatch.setenv("SOTTOVOCE_DEBUG", debug)
    ran = failing(bug, "--json")
    assert ran.code == 1
    line, *trail = ran.err.splitlines()
    assert line.startswith(f"sottovoce: internal error: ValueError at {__name__}:") or "sottovoce.cli.check" in line
    assert SECRET not in ran.err + ran.out
    assert "Traceback" not in ran.err
    assert ran.json == {
        "schema": "sottovoce.check.1",
        "ok": False,
        "error": line.removeprefix("sottovoce: "),
        "code": None,
    }
    assert bool(trail) is (debug == "1")
    if debug:
        assert any("a_bug" in place for place in trail)


def test_a_group_of_our_errors_ends_a_command_with_a_line_each(failing: Failing) -> None:
    group = ExceptionGroup("", [AuditFailed("one: mend it"), ExceptionGroup("", [AuditFailed("two: mend it")])])
    ran = failing(raising(group))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == ["sottovoce: one: mend it", "sottovoce: two: mend it"]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("", [KeyboardInterrupt()]),
        BaseExceptionGroup("", [AuditFailed("x"), BaseExceptionGroup("", [KeyboardInterrupt()])]),
    ],
)
def test_an_interruption_is_exit_code_130_and_no_word(failing: Failing, error: BaseException) -> None:
    ran = failing(raising(error), "--json")
    assert (ran.code, ran.out, ran.err.strip()) == (130, "", "")


def test_a_trail_follows_causes_once_and_ends() -> None:
    error = AuditFailed("x")
    error.__cause__ = cause = raised(ValueError(SECRET))
    cause.__context__ = error
    trail = list(failures.trail_of(error))
    assert [line for line in trail if not line.startswith("  at ")] == ["AuditFailed", "ValueError"]
    assert any(line.endswith(" raised") for line in trail)
    assert SECRET not in "".join(trail)
