"""Steps and knees as lines for a terminal and for the page."""

from loadtest.knee.searching import Verdict
from loadtest.knee.stepping import Knee, Knees, Step
from loadtest.report import words
from loadtest.report.table import aligned

HEADS = ["contender", "calls", "p99 added", "proxy µs/frame", "proxy cores", "generator late", "read within", "verdict"]
_WIDTHS = (22, 6, 10, 14, 11, 14, 11, 0)


def step_cells(step: Step) -> list[str]:
    """Give a step's row; every cell says something."""
    outcome = step.outcome
    cost = outcome.cost
    verdict = step.judgement.verdict.value
    if step.judgement.verdict is not Verdict.HELD:
        verdict = f"{verdict}: {step.judgement.reason}"
    return [
        step.name,
        words.count(step.calls),
        words.p99(outcome.latency),
        "not seen" if cost.proxy_us_per_frame is None else words.number(cost.proxy_us_per_frame),
        "not seen" if cost.proxy_cores is None else f"{cost.proxy_cores:.2f}",
        words.p99(outcome.lateness),
        words.p99(outcome.reading),
        verdict,
    ]


def step_line(cells: list[str]) -> str:
    """Give a row as it is printed while others are still to come."""
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def describe_knees(knees: Knees) -> list[str]:
    """Give the result's lines, behind those of the steps."""
    limit = words.milliseconds(knees.sought.limit_ms)
    table = [["contender", f"most calls at p99 < {limit}", "found by"], *(_knee(knee) for knee in knees.knees)]
    lines = aligned(table) if knees.knees else []
    lines += [f"not searched: {text}" for text in knees.missing.values()]
    if knees.is_partial:
        lines.append("partial: stopped before its time")
    return [*lines, *knees.remarks]


def _knee(knee: Knee) -> list[str]:
    if knee.is_open:
        found = "no verdict beyond, see above: it may hold more"
    elif knee.missed is not None:
        found = f"{words.count(knee.missed)} were not held"
    else:
        found = "no more were asked for"
    if not knee.held:
        return [knee.name, "not even the fewest that were tried", found]
    return [knee.name, words.count(knee.held) + (" or more" if knee.is_open or knee.missed is None else ""), found]
