"""Runs as one self-contained HTML page: no network, no script, light and dark as the reader's system is set.

Everything is drawn here, in Python; what a pointer over a chart is told are the titles that every browser shows.  The
page's own policy forbids it to load anything.  States stand in words; a colour never says anything alone.
"""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import msgspec

from loadtest.replay.outcome import Outcome
from loadtest.report import words
from loadtest.report.charts import distribution, groups_over_time, latency_over_time, lateness_over_time
from loadtest.report.table import rows

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HOW_TO_READ = (
    "<p>Latency is counted from the instant at which a frame was due. Where the generator is late itself, "
    "the latency above it says nothing about the proxy.</p>"
)
_STYLE = Path(__file__).with_name("page.css")


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand above everything."""

    title: str
    summary: Sequence[Sequence[str]] = ()
    """A table, its heads first."""
    tables: Sequence[Sequence[Sequence[str]]] = ()
    """Further ones."""
    remarks: Sequence[str] = ()


def write_html(outcomes: Sequence[Outcome], path: Path, opening: Opening | None = None) -> None:
    """Write the page.  Raises OSError."""
    path.write_text(html_page(outcomes, opening), encoding="utf-8")


def html_page(outcomes: Sequence[Outcome], opening: Opening | None = None) -> str:
    """Give the page; well-formed XML, too."""
    opening = opening or Opening(title=f"Load test: {', '.join(dict.fromkeys(each.name for each in outcomes))}")
    title, summary, remarks = opening.title, opening.summary, opening.remarks
    labels = _labels(outcomes)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"/>',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}"/>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
            '<meta name="color-scheme" content="light dark"/>',
            f"<title>{escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *(_table(summary[0], summary[1:]) if summary else []),
            *(part for table in opening.tables for part in _table(table[0], table[1:])),
            *(f"<p>{escape(line)}</p>" for line in [*remarks, *_verdicts(outcomes, labels)]),
            "<h2>Added latency over time</h2>",
            latency_over_time(outcomes, labels),
            *_groups(outcomes),
            "<h3>The generator's own lateness beneath it</h3>",
            lateness_over_time(outcomes, labels),
            _HOW_TO_READ,
            "<h2>Distribution of added latency</h2>",
            distribution(outcomes, labels),
            "<h2>Figures</h2>",
            *_figures(outcomes, labels),
            "</body></html>\n",
        ]
    )


def _groups(outcomes: Sequence[Outcome]) -> list[str]:
    """Give a scenario's groups, over time and by phase; nothing where there are none, or several runs."""
    if len(outcomes) != 1 or not any(route.group for route in outcomes[0].routes):
        return []
    (outcome,) = outcomes
    parts = ["<h2>Each group</h2>", groups_over_time(outcome)] if len(outcome.routes) > 1 else []
    if outcome.phases:
        names = [found.group for found in outcome.phases[0].groups]
        lines = [
            [
                f"{phase.name}, {phase.at} to {phase.until} s",
                *(words.quantiles(found.latency) for found in phase.groups),
            ]
            for phase in outcome.phases
        ]
        parts += ["<h2>Added latency in each phase</h2>", *_table(["phase", *names], lines)]
    return parts


def _labels(outcomes: Sequence[Outcome]) -> list[str]:
    """Name each run; several of one name get numbers."""
    total = Counter(outcome.name for outcome in outcomes)
    seen: Counter[str] = Counter()
    labels: list[str] = []
    for outcome in outcomes:
        seen[outcome.name] += 1
        labels.append(outcome.name if total[outcome.name] == 1 else f"{outcome.name} {seen[outcome.name]}")
    return labels


def _verdicts(outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[str]:
    return [
        f"{label}: {words.load(outcome)}. {words.verdict(outcome)}"
        for outcome, label in zip(outcomes, labels, strict=True)
    ]


def _figures(outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[str]:
    tables = [list(rows(outcome)) for outcome in outcomes]
    heads = list(dict.fromkeys(head for table in tables for head, _ in table))
    cells = [
        [head, *("\n".join(text for name, text in table if name == head) or "none" for table in tables)]
        for head in heads
    ]
    return _table(["figure", *labels], cells)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    parts = ['<div class="wide"><table><thead><tr>']
    parts += [f'<th scope="col">{escape(head)}</th>' for head in heads]
    parts.append("</tr></thead><tbody>")
    for first, *cells in lines:
        texts = (escape(cell).replace("\n", "<br/>") for cell in cells)
        parts.append(f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{text}</td>" for text in texts)}</tr>')
    parts.append("</tbody></table></div>")
    return parts
