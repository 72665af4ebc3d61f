"""A pytest plugin: collects once, then tries one mutant after the other in forks of the collected session.

The tree holds every mutant at once, each behind a number (`operators.switched`).  Orders come on standard input,
{number, tests, seconds}; `MUTATION_ANSWERS` is the descriptor that takes the answers.  `python -m pytest` must run with
`-s`, so that standard input stays what it is.
"""

import json
import os
import sys

import pytest

from tests.mutation.children import ask


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    import mutation_switch  # noqa: PLC0415  # pyright: ignore[reportMissingImports]  it is in the copy of the tree only

    items = {item.nodeid: item for item in session.items}

    def run(number: int, names: list[str]) -> int:
        os.environ["MUTANT"] = str(number)  # for the processes that a test starts
        mutation_switch.number = number
        chosen = [items[name] for name in names]
        for item, following in zip(chosen, [*chosen, None][1:], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return 1
        return 0

    with os.fdopen(int(os.environ["MUTATION_ANSWERS"]), "w") as answers:
        for line in sys.stdin:
            order = json.loads(line)
            how = ask(lambda order=order: run(order["number"], order["tests"]), order["seconds"])
            answers.write(f"{json.dumps(how)}\n")
            answers.flush()
    return True
