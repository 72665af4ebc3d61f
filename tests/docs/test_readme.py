"""Each `sottovoce …` line of a document parses, links lead somewhere, and the example in the README is sound Python.

Whether the commands do what they say is another test's: this one reads all documents and runs nothing.
"""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import sottovoce.client
from sottovoce.cli.tree import commands
from sottovoce.identity import ClientsConfig, read_clients
from sottovoce.settings import build
from sottovoce.transport import SystemClock, SystemEntropy

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "certs").glob("*.md"),
        *(ROOT / "config").glob("*.md"),
    ]
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(sottovoce [^`]+)`")
_INDENTED = re.compile(r"^ {4,}(sottovoce .+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:]+)\)")
MAX_SAMPLE_LINES = 20


def blocks(text: str, language: str) -> list[str]:
    return [body for kind, body in _BLOCK.findall(text) if kind == language]


def command_lines(text: str) -> Iterator[str]:
    """What stands in code as a command of ours, without its comment."""
    for body in blocks(text, "") + blocks(text, "sh"):
        yield from (line for line in body.splitlines() if line.startswith("sottovoce "))
    yield from _INLINE.findall(text)
    yield from _INDENTED.findall(text)


def parse(line: str) -> None:
    """Find the command and parse its words; runs nothing and opens no file.  Raises click.UsageError."""
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    command: click.Command = commands
    while isinstance(command, click.Group):
        context = click.Context(command, **commands.context_settings)
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        if not words and isinstance(command, click.Group):
            return
    command.make_parser(click.Context(command, **commands.context_settings)).parse_args(words)


LINES = sorted({(path.relative_to(ROOT), line) for path in DOCUMENTS for line in command_lines(path.read_text())})


def test_the_readme_shows_the_commands_that_its_reader_needs() -> None:
    lines = " ".join(line for path, line in LINES if path == Path("README.md"))
    for name in ("init", "serve", "call", "check", "audit verify", "audit tail"):
        assert f"sottovoce {name} " in lines, name


@pytest.mark.parametrize(("path", "line"), LINES, ids=[f"{path}-{line}" for path, line in LINES])
def test_a_command_line_of_a_document_parses(path: Path, line: str) -> None:
    parse(line)


@pytest.mark.parametrize("line", ["sottovoce frobnicate", "sottovoce init --no-such DIR", "sottovoce audit shred DIR"])
def test_a_wrong_line_would_be_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


def test_make_has_the_targets_that_documents_name() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        text = path.read_text()
        inside = "\n".join([*blocks(text, ""), *re.findall(r"`(make [a-z ]+)`", text)])
        assert {
            name for line in re.findall(r"^make ([a-z ]+)", inside, re.MULTILINE) for name in line.split()
        } <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(path: Path) -> None:
    assert [link for link in _LINK.findall(path.read_text()) if not (path.parent / link).exists()] == []


TOML = [
    (path.relative_to(ROOT), body)
    for path in DOCUMENTS
    if path.name != "load-tests.md"  # which has scenarios, read by tests/loadtest/scenario
    for body in blocks(path.read_text(), "toml")
]


@pytest.mark.parametrize(("path", "body"), TOML, ids=[str(path) for path, _ in TOML])
def test_what_is_shown_as_configuration_is_accepted(path: Path, body: str, tmp_path: Path) -> None:
    """A whole configuration, some of its sections, or a file of tokens."""
    if "[[client]]" not in body:
        build(tomllib.loads(body))
        return
    (tmp_path / "clients.toml").write_text(body)
    clients = read_clients(ClientsConfig(file=str(tmp_path / "clients.toml")), SystemClock().wall, SystemEntropy())
    assert clients.contents.tokens + clients.contents.keys == body.count("[[client]]"), path


def test_the_sample_is_short_and_uses_what_the_client_offers() -> None:
    (sample,) = blocks((ROOT / "README.md").read_text(), "python")
    assert len(sample.splitlines()) < MAX_SAMPLE_LINES
    tree = ast.parse(sample)
    (imported,) = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imported.module == "sottovoce.client"
    assert {alias.name for alias in imported.names} <= set(sottovoce.client.__all__)
    used = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "call"
    }
    assert used == {name for name in used if hasattr(sottovoce.client.Call, name)}


def test_no_document_promises_too_much() -> None:
    """Words that people read as a promise (protocol §11): where they stand, it is to say that they do not hold."""
    for path in DOCUMENTS:
        for line in path.read_text().splitlines():
            if re.search(r"fully encrypted|military|unbreakable|100 % safe", line, re.IGNORECASE):
                pytest.fail(f"{path.relative_to(ROOT)}: {line}")
