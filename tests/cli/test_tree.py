import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import sottovoce.cli as sottovoce_cli
from sottovoce.cli.tree import commands, help_text
from tests.cli.conftest import Cli
from tests.cli.walking import all_commands
from tests.running import SOTTOVOCE, environment, sottovoce

COMMANDS = tuple(name for name, _ in all_commands(commands))
HEAVY = ("trio", "OpenSSL", "rich", "cryptography", "msgspec", "structlog", "pkcs11", "importlib.metadata")

NO_CONTEXT = click.Context(commands)
_IMPORTED = """
import sys
from sottovoce.cli import main
sys.argv = ["sottovoce", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    print(end.code, *sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *command.split(), "--help"], capture_output=True, text=True, check=True
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    assert not set(HEAVY) & set(modules)
    assert f"Usage: sottovoce {command}".rstrip() in done.stdout


def test_the_list_of_commands_is_the_commands(cli: Cli) -> None:
    for name in commands.list_commands(None):  # type: ignore[arg-type]  # it looks at nothing
        said = cli(name, "--help")
        assert said.code == 0
        assert f"sottovoce {name} " in said.out
        assert f"\n  {name} " in cli("--help").out


def paths_of(command: click.Command) -> Iterator[click.Path]:
    yield from (each.type for each in command.params if isinstance(each.type, click.Path))
    if isinstance(command, click.Group):
        for name in command.list_commands(NO_CONTEXT):
            below = command.get_command(NO_CONTEXT, name)
            assert below is not None
            yield from paths_of(below)


def test_an_unreadable_path_is_not_taken_for_a_fault_of_usage() -> None:
    paths = list(paths_of(commands))
    assert len(paths) == 43
    assert not [each for each in paths if each.readable or each.writable or each.executable]


def test_h_is_help(cli: Cli) -> None:
    assert cli("-h").out == cli("--help").out


def test_the_version_is_told(cli: Cli) -> None:
    said = cli("--version")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("sottovoce, version ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "Commands:"),
        ("audit", "Commands:"),
        ("nonsense", "No such command 'nonsense'"),
        ("serve --nonsense", "No such option"),
        ("init", "Missing argument 'DIR'"),
        ("init x --port 70000", "70000 is not in the range 0<=x<=65535"),
        ("init x --port x", "'x' is not a valid integer"),
        ("init x --profile prod", "'prod' is not one of 'development', 'production'"),
        ("call", "Missing argument 'URL'"),
        ("call wss://localhost/echo --dir x", "give IN.wav or --tone"),
        ("call wss://localhost/echo a.wav --tone --dir x", "give IN.wav or --tone"),
        ("call wss://localhost/echo --tone", "give --dir DIR (made by sottovoce init), or --anchor FILE"),
        ("call wss://localhost/echo --tone --dir x --anchor y", "give --dir DIR"),
        ("call wss://localhost/echo --tone --dir x --frame-ms 30", "'30' is not one of"),
        ("audit tail -n 0 x", "0 is not in the range"),
        ("check a b", "Got unexpected extra argument"),
    ],
)
def test_usage_is_exit_code_2_and_nothing_on_standard_output(cli: Cli, words: str, said: str) -> None:
    ran = cli(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_usage_that_is_wrong_is_told_a_program_too(cli: Cli) -> None:
    ran = cli("example", "nonsense", "--json")
    assert ran.code == 2
    assert (ran.json["schema"], ran.json["ok"]) == ("sottovoce.example.1", False)
    assert "there is no 'nonsense'" in ran.json["error"]
    assert cli("nonsense", "--json").json["schema"] == "sottovoce.usage.1"
    assert cli("clients", "add", "--json").json["schema"] == "sottovoce.clients.add.1"


def test_it_is_the_same_by_its_module_name() -> None:
    done = sottovoce("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("sottovoce, version ")


def test_a_reader_who_leaves_is_no_fault(made: Path) -> None:
    with subprocess.Popen(
        [*SOTTOVOCE, "audit", "tail", str(made)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_under_standard_output_is_one_line(made: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*SOTTOVOCE, "audit", "verify", str(made)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
            env=environment(),
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("sottovoce: No space left on device; ")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("check {}", 0), ("audit verify {}/none", 1), ("--help", 0)])
def test_a_stream_that_the_shell_closed_is_no_fault(made: Path, closed: str, words: str, code: int) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *SOTTOVOCE, *words.format(made).split()]
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment())
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code and "2" not in closed)
    assert bool(done.stdout) == bool(not code and ">" not in closed.replace("2>", ""))


def test_a_terminal_without_a_character_gets_another_one(made: Path) -> None:
    program = "import click; click.echo = lambda *_, **__: print('×'); from sottovoce.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", str(made)],
        capture_output=True,
        check=False,
        text=True,
        env=environment() | {"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (0, "?\n")


# --- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        ("check {directory}", "check"),
        ("check {directory} --set voice.epoch_seconds=1", "check"),
        ("check {directory}/none", "check"),
        ("audit verify {directory}", "audit.verify"),
        ("audit verify {directory}/none", "audit.verify"),
        ("audit tail {directory}", "audit.tail"),
        ("audit tail {directory}/none", "audit.tail"),
        ("init {directory}", "init"),
        ("init {directory}/fresh --port 0", "init"),
        ("serve {directory}/none", "serve"),
        ("status {directory}", "status"),
        ("status http://127.0.0.1:1", "status"),
        ("top {directory}/none", "top"),
        ("doctor {directory}/none", "doctor"),
        ("doctor wss://localhost:1/echo --dir {directory}", "doctor"),
        ("explain 4450", "explain"),
        ("explain 4433", "explain"),
        ("inspect {directory}/certs/ca.pem", "inspect"),
        ("inspect {directory}/none", "inspect"),
        ("anchor list {directory}", "anchor.list"),
        ("anchor rotate {directory} --dry-run", "anchor.rotate"),
        ("anchor switch {directory}", "anchor.switch"),
        ("anchor retire {directory} --yes", "anchor.retire"),
        ("call wss://localhost:1/echo --tone --dir {directory}", "call"),
        ("call wss://localhost:1/echo {directory}/none.wav --dir {directory}", "call"),
    ],
)
def test_standard_output_is_one_json_object_with_its_schema(cli: Cli, directory: Path, words: str, schema: str) -> None:
    ran = cli(*words.format(directory=directory).split(), "--json")
    assert ran.json["schema"] == f"sottovoce.{schema}.1"
    assert ran.json["ok"] is (ran.code == 0)
    if ran.code and not {"problems", "findings"} & ran.json.keys():
        assert ran.json["error"] == ran.said


def test_the_pages_that_are_kept_are_what_click_makes_of_help() -> None:
    """They are printed without click, whose import alone takes three times as long as a bare interpreter."""
    kept = Path(sottovoce_cli.__file__).with_name("help.txt").read_text(encoding="utf-8")
    assert kept == help_text(), "run: make reference"


@pytest.mark.parametrize("words", ["--help", "-h", "serve --help", "clients -h", "clients add --help", "inspect -h"])
def test_a_page_is_printed_as_click_does(cli: Cli, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *words.split()], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout == cli(*words.split()).out
    assert "click" not in done.stderr.split()


@pytest.mark.parametrize("words", ["serve --json --help", "audit -h --help", "nonsense --help"])
def test_what_is_no_page_is_left_to_click(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *words.split()], capture_output=True, text=True, check=False
    )
    assert "click" in done.stderr.split()
    assert "Usage: sottovoce" in done.stdout + done.stderr
