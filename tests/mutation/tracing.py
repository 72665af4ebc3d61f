"""A pytest plugin: which lines of the packages under mutation each test runs, and how long it takes.

`MUTATION_TRACE` names the file that takes it as JSON: {"lines": {path: {line: [test, …]}}, "seconds": {test: …},
"failed": [test, …]}.  Lines that run while a module is imported belong to no test.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

_ROOT = Path.cwd()
_PREFIXES = tuple(f"{_ROOT}/proxy/sottovoce/{package}/" for package in ("wire", "session"))


class Tracer:
    """Collects lines while one test runs."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.tests: list[str] = []
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []
        self._now: set[tuple[str, int]] = set()
        self._ours: dict[CodeType, bool] = {}

    def begin(self) -> None:
        self._now.clear()
        sys.settrace(self._on_call)

    def end(self, test: str) -> None:
        sys.settrace(None)
        number = len(self.tests)
        self.tests.append(test)
        for path, line in self._now:
            self.lines[path[len(str(_ROOT)) + 1 :]][line].append(number)

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        ours = self._ours.get(code)
        if ours is None:
            ours = self._ours[code] = code.co_filename.startswith(_PREFIXES)
        if not ours:
            return None
        self._now.add((code.co_filename, frame.f_lineno))
        return self._on_line

    def _on_line(self, frame: FrameType, event: str, argument: object) -> Any:
        self._now.add((frame.f_code.co_filename, frame.f_lineno))
        return self._on_line


_tracer = Tracer()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _tracer.begin()
    try:
        return (yield)
    finally:
        _tracer.end(item.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _tracer.seconds[report.nodeid] += report.duration
    if report.failed:
        _tracer.failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    told = {
        "tests": _tracer.tests,
        "lines": _tracer.lines,
        "seconds": _tracer.seconds,
        "failed": _tracer.failed,
    }
    Path(os.environ["MUTATION_TRACE"]).write_text(json.dumps(told), encoding="utf-8")
