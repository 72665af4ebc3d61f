"""What every test gets: Hypothesis profiles, and the rule for tests that use a foreign tool.

An `interop` test names its tools, `@pytest.mark.interop(tool="sslscan")` (several: `tool=("openssl", "sslscan")`).
Where the machine lacks one, the test is skipped by name and listed at the end; where all are there, a skip of any kind
is a failure, so that a broken tool cannot turn a proof into silence.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.gathering import all_of, gather

pytest_plugins = ("tests.parallel", "tests.vector_report", "tests.fuzz_report", "tests.soak_report")

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("soak", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))

_PYTHON = "python:"
_SYSTEM_DIRECTORIES = (
    str(Path(sys.executable).parent),  # programs that come as Python packages
    str(Path(sys.prefix) / "judges/bin"),  # `make judges`
    str(Path(sys.prefix) / "sbom/bin"),  # `make sbom`
    str(Path(sys.prefix) / "tools/bin"),  # .ci/promtool
    *("/usr/sbin", "/sbin", "/usr/local/sbin"),
)
_missing_tools = pytest.StashKey[dict[str, list[str]]]()


def find_tool(name: str) -> str | None:
    """Give the path of a program; None without it.

    A name with a slash is a file, such as a PKCS#11 module; `python:NAME` is a library that can be imported.
    """
    if name.startswith(_PYTHON):
        spec = importlib.util.find_spec(name.removeprefix(_PYTHON))
        return spec and spec.origin
    if "/" in name:
        return name if Path(name).exists() else None
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_DIRECTORIES))
    return shutil.which(name, path=search)


def pytest_configure(config: pytest.Config) -> None:
    missing: dict[str, list[str]] = {}
    config.stash[_missing_tools] = missing
    gather(config, "missing tools", lambda: [[tool, test] for tool, tests in missing.items() for test in tests])


def _tools_of(item: pytest.Item) -> list[str] | None:
    """Give the tools that an interop test names, None for a test that is none."""
    markers = list(item.iter_markers("interop"))
    if not markers:
        return None
    tools: list[str] = []
    for marker in markers:
        named = marker.kwargs.get("tool", ())
        tools += [named] if isinstance(named, str) else list(named)
    if not tools:
        message = f"{item.nodeid}: an interop test names the tools it uses: @pytest.mark.interop(tool=…)"
        raise pytest.UsageError(message)
    return tools


def pytest_runtest_setup(item: pytest.Item) -> None:
    absent = [tool for tool in _tools_of(item) or () if find_tool(tool) is None]
    for tool in absent:
        item.config.stash[_missing_tools].setdefault(tool, []).append(item.nodeid)
    if absent:
        pytest.skip(f"interop tool missing: {', '.join(absent)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        tools = _tools_of(item)
        if tools and all(find_tool(tool) for tool in tools):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped though {', '.join(tools)} is there: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing: dict[str, list[str]] = {}
    for tool, test in all_of(config, "missing tools"):
        missing.setdefault(tool, []).append(test)
    if missing:
        terminalreporter.section("interop tools missing")
        for tool, tests in sorted(missing.items()):
            terminalreporter.line(f"{tool}: {', '.join(tests)}")
