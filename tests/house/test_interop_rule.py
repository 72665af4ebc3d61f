"""The rule of `tests/conftest.py` for tests that use a foreign tool, shown on small suites of its own."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SETTINGS = "[pytest]\nmarkers =\n  interop(tool): uses a foreign tool\n"


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    pytester.makeini(SETTINGS)
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(test_it=f"import pytest\n{source}")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs")


def test_a_missing_tool_skips_by_name_and_is_listed(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.interop(tool=('sh', 'no-such-tool'))\ndef test_a(): assert False\n")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*= interop tools missing =*",
            "no-such-tool: test_it.py::test_a",
            "SKIPPED*interop tool missing: no-such-tool",
        ]
    )


def test_a_tool_that_is_there_makes_a_skip_a_failure(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.interop(tool='sh')\ndef test_a(): pytest.skip('shy')\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_a was skipped though sh is there*shy*"])


def test_a_file_counts_as_a_tool(pytester: pytest.Pytester) -> None:
    source = "@pytest.mark.interop(tool='/no/such/module.so')\ndef test_a(): pass\n"
    run(pytester, source).assert_outcomes(skipped=1)


def test_with_its_tools_a_test_runs_and_others_may_skip(pytester: pytest.Pytester) -> None:
    source = "@pytest.mark.interop(tool='sh')\ndef test_a(): pass\ndef test_b(): pytest.skip('not interop')\n"
    result = run(pytester, source)
    result.assert_outcomes(passed=1, skipped=1)
    assert "interop tools missing" not in result.stdout.str()


def test_an_interop_test_names_its_tools(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.interop\ndef test_a(): pass\n")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_a: an interop test names the tools it uses*"])
