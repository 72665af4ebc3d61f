"""The plugin that counts runs of vector files: what it says, and when it fails."""

import pytest

_CASES = """
def test_some(vector_run):
    with vector_run("a.json") as run:
        run.check("one", True, positive=True)
        run.skip("no such cipher", 2)

def test_wrong(vector_run):
    with vector_run("b.json") as run:
        run.check("two", False, positive=False)

def test_nothing(vector_run):
    with vector_run("c.json") as run:
        run.skip("all of it")
"""


def test_the_report_counts_and_says_what_is_zero(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_CASES)
    result = pytester.runpytest("-p", "tests.vector_report")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.re_match_lines(
        [
            r"a\.json +1 +1 +2 +1 +0  no negatives",
            r" +2 skipped: no such cipher",
            r"b\.json +1 +0 +0 +0 +1  no positives",
            r"c\.json +0 +0 +1 +0 +0  no positives, no negatives",
        ]
    )
    result.stdout.fnmatch_lines(["*b.json: wrong in two*", "*c.json: nothing was run*"])
