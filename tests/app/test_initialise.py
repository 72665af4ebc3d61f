"""`init`: a directory that is there whole or not at all."""

import errno
import os
import signal
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from cryptography import x509

from sottovoce.app import staging
from sottovoce.app.initialise import Initialised, initialise
from sottovoce.app.places import (
    ANCHOR_KEY,
    ANCHORS,
    AUDIT_LOG,
    CA_CERTIFICATE,
    CONFIGURATION,
    ISSUING,
    SERVING_KEY,
    SERVING_LIST,
    token_places,
)
from sottovoce.app.staging import DirectoryUnusable
from sottovoce.audit import read_tail, verify_audit
from sottovoce.hsm import HsmError, configuration_text
from sottovoce.identity import SIGN_ROOT, SignRoot, load_anchors, load_ring, load_serving_keys
from sottovoce.pki import LeafRefused
from sottovoce.session import LeafKind
from sottovoce.settings import load
from tests.app.directories import DEADLINE, HOSTS, OpenToken

ROOT = Path(__file__).parents[2]
FILES = {CONFIGURATION, CA_CERTIFICATE, ISSUING, ANCHORS, SERVING_KEY, ANCHOR_KEY, AUDIT_LOG}


def make(directory: Path, *, progress: Callable[[str], None] = [].append, **changes: object) -> Initialised:
    return trio.run(partial(initialise, directory, progress=progress, **changes))  # type: ignore[arg-type]  # by name


def is_whole(directory: Path) -> bool:
    return all((directory / name).is_file() for name in (*FILES, "secrets/pin", "hsm/softhsm2.conf"))


def test_what_is_there(made_directory: Path) -> None:
    assert is_whole(made_directory)
    modes = {name: stat.S_IMODE((made_directory / name).stat().st_mode) for name in (".", "secrets/pin", SERVING_KEY)}
    assert modes == {".": 0o700, "secrets/pin": 0o600, SERVING_KEY: 0o600}
    assert tomllib.loads((made_directory / CONFIGURATION).read_text()) == {
        "listener": {"address": "127.0.0.1:8443"},
        "admin": {"address": "127.0.0.1:9443"},
    }
    assert load_anchors(made_directory / ANCHORS)[0].authorities == HOSTS
    conf = made_directory / "hsm/softhsm2.conf"
    assert conf.read_text() == configuration_text(conf)
    assert [path.name for path in made_directory.parent.iterdir()] == ["directory"]


def test_the_audit_log_begins_with_it(made_directory: Path) -> None:
    path = str(made_directory / AUDIT_LOG)
    assert (verify_audit(path).records, verify_audit(path).torn_bytes) == (10, 0)
    records = read_tail(path, 10)
    assert [record.event for record in records] == [
        "directory_initialised",
        *["key_generated"] * 7,
        *["certificate_issued"] * 2,
    ]
    keys = {str(record.fields["key"]): record.fields for record in records[1:8]}
    assert set(keys) == {
        "sottovoce-anchor",
        "sottovoce-serving",
        "sottovoce-root-ca",
        "sottovoce-issuing-ca",
        "sottovoce-kek",
        SERVING_KEY,
        ANCHOR_KEY,
    }
    assert len({fields["sha256"] for fields in keys.values()}) == 7
    root = x509.load_pem_x509_certificate((made_directory / CA_CERTIFICATE).read_bytes())
    assert records[8].fields["serial"] == f"{root.serial_number:x}"


def test_of_three_tokens_each_has_its_own_and_what_clients_get_holds_all(made_of_three: Path) -> None:
    configuration = load(made_of_three / CONFIGURATION)
    assert list(configuration.hsm.nodes) == ["a", "b", "c"]
    assert [places.section for places in token_places(configuration.hsm)] == [
        "hsm.nodes.a",
        "hsm.nodes.b",
        "hsm.nodes.c",
    ]
    anchors, serving = load_anchors(made_of_three / ANCHORS), load_serving_keys(made_of_three / SERVING_LIST)
    roots = x509.load_pem_x509_certificates((made_of_three / CA_CERTIFICATE).read_bytes())
    assert serving is not None
    assert list(serving) == ["a", "b", "c"]
    assert len({root.subject for root in roots}) == 3
    assert [anchor.authorities for anchor in anchors] == [HOSTS] * 3
    for places, anchor, root in zip(token_places(configuration.hsm), anchors, roots, strict=True):
        x509.load_pem_x509_certificate(places.issuing.read_bytes()).verify_directly_issued_by(root)
        ring = load_ring(places.anchor_list)
        assert ring is not None
        assert [each.id for each in ring.anchors] == [ring.issuing] == [anchor.anchor_id.hex()]
        conf = made_of_three / f"hsm/{places.name}/softhsm2.conf"
        assert conf.read_text() == configuration_text(conf)
        assert stat.S_IMODE((made_of_three / f"secrets/{places.name}.pin").stat().st_mode) == 0o600
    pins = [path.read_bytes() for path in (made_of_three / "secrets").iterdir()]
    assert len(set(pins)) == 3


def test_the_audit_log_of_three_tokens_tells_which_key_is_whose(made_of_three: Path) -> None:
    records = read_tail(str(made_of_three / AUDIT_LOG), 100)
    assert len(records) == 1 + 3 * (7 + 2)
    keys = [record.fields for record in records if record.event == "key_generated"]
    assert [fields["token"] for fields in keys[::7]] == ["sottovoce-a", "sottovoce-b", "sottovoce-c"]
    assert len({(fields["token"], fields["key"]) for fields in keys}) == 21
    assert {"keys/a/serving.mldsa65.json", "keys/c/anchor.mldsa87.json"} <= {fields["key"] for fields in keys}


def test_no_secret_is_in_what_it_writes(made_directory: Path) -> None:
    pin = (made_directory / "secrets/pin").read_bytes().strip()
    assert len(pin) == 32
    for path in made_directory.rglob("*"):
        if path.is_file() and path.name != "pin":
            assert pin not in path.read_bytes()


def test_it_tells_how_it_gets_on_and_what_it_made(tmp_path: Path) -> None:
    lines: list[str] = []
    text = '# an operator\'s own\n[listener]\naddress = "127.0.0.1:9000"\n'
    made = make(tmp_path / "new", progress=lines.append, hosts=("a.example",), configuration=text)
    assert lines[-1] == f"made {tmp_path / 'new'}"
    assert (tmp_path / "new" / CONFIGURATION).read_text() == text
    anchors = load_anchors(tmp_path / "new" / ANCHORS)
    assert made == Initialised(tmp_path / "new", made.ca_sha256, (anchors[0].anchor_id.hex(),))
    assert anchors[0].authorities == ("a.example",)


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty")
    assert is_whole(tmp_path / "empty")


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DirectoryUnusable, match="is there and not empty: choose another directory, or move this one"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "file is no directory: choose another name"),
        ("file/below", "below is no directory: choose another name"),
        ("no/such", r"no does not exist: mkdir -p .*no$"),
    ],
)
def test_a_place_where_it_cannot_be_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DirectoryUnusable, match=reason):
        make(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_current_directory_is_not_replaced_under_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DirectoryUnusable, match="is the current directory: choose one inside it, like"):
        make(Path())
    make(Path("voice"))
    assert is_whole(tmp_path / "voice")


def test_unfit_hosts_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(LeafRefused):
        make(tmp_path / "new", hosts=("no host",))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(staging, "_sync", full)
    with pytest.raises(DirectoryUnusable, match=r"new cannot be made \(No space left on device\)"):
        make(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_somebody_who_was_faster_keeps_his_directory(tmp_path: Path) -> None:
    def progress(line: str) -> None:
        if line.startswith("writing"):
            (tmp_path / "new").mkdir()
            (tmp_path / "new/file").write_text("his")

    with pytest.raises(DirectoryUnusable, match="new cannot be made"):
        make(tmp_path / "new", progress=progress)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize("milliseconds", [0, 100, 200, 240])
async def test_its_token_process_killed_it_is_whole_or_not_there(tmp_path: Path, milliseconds: int) -> None:
    async def kill_its_child() -> None:
        await trio.sleep(milliseconds / 1000)
        for pid in _children(os.getpid()):
            os.kill(pid, signal.SIGKILL)

    error: HsmError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kill_its_child)
        try:
            await initialise(tmp_path / "new", progress=[].append)
        except HsmError as raised:
            error = raised
    assert [path.name for path in tmp_path.iterdir()] == (["new"] if error is None else [])  # noqa: ASYNC240
    assert error is not None or is_whole(tmp_path / "new")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


@pytest.mark.parametrize("milliseconds", [0, 30, 100, 200, 250, 300])
async def test_cancelled_at_any_moment_it_is_whole_or_nothing(tmp_path: Path, milliseconds: int) -> None:
    with trio.move_on_after(milliseconds / 1000):
        await initialise(tmp_path / "new", progress=[].append)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["new"])  # noqa: ASYNC240
    assert not (tmp_path / "new").exists() or is_whole(tmp_path / "new")
    assert _children(os.getpid()) == []


async def test_killed_at_any_moment_it_is_whole_or_not_there_and_the_next_one_clears_up(tmp_path: Path) -> None:
    code = (
        "import sys, trio, functools; from pathlib import Path; from sottovoce.app.initialise import initialise;"
        "print(flush=True); trio.run(functools.partial(initialise, Path(sys.argv[1]), progress=print))"
    )
    left = 0
    for number, delay in enumerate((0.02, 0.1, 0.18, 0.24, 0.3)):
        target = tmp_path / f"new{number}"
        with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
            assert process.stdout is not None
            await trio.to_thread.run_sync(process.stdout.readline)
            await trio.sleep(delay)
            process.kill()
        assert not target.exists() or is_whole(target)
        left += len(list(tmp_path.glob(".new*")))  # noqa: ASYNC240
        if not target.exists():
            await initialise(target, progress=[].append)
        assert is_whole(target)
        assert list(tmp_path.glob(".new*")) == []  # noqa: ASYNC240
    assert left > 0


def test_one_that_is_being_made_is_not_cleared_away(tmp_path: Path) -> None:
    with staging.whole_directory(tmp_path / "new") as first:
        with staging.whole_directory(tmp_path / "new") as second:
            (second / "file").write_text("second")
            assert first.is_dir()
        with pytest.raises(DirectoryUnusable):
            make(tmp_path / "new")
        (tmp_path / "new/file").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("name", ["line\nbreak", os.fsdecode(b"not-utf8-\xff"), "\x1b[31mred"])
def test_a_name_that_no_configuration_could_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DirectoryUnusable, match="choose a name of printable characters") as refused:
        make(tmp_path / name)
    assert str(refused.value).isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["new", "new[1]", "*"])
def test_only_its_own_leftovers_are_cleared_away(tmp_path: Path, name: str) -> None:
    (tmp_path / f".{name}.new-0123abcd").mkdir()
    others = [".new.new-notes", ".other.new-0123abcd", ".new.new-0123abcd.bak"]
    for other in others:
        (tmp_path / other).mkdir()
    (tmp_path / ".new.new-89abcdef").write_text("a file")
    with staging.whole_directory(tmp_path / name):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {name, *others, ".new.new-89abcdef"}


async def test_moved_or_copied_it_starts_again(opened: OpenToken, directory: Path) -> None:
    """`directory` is a copy elsewhere; SoftHSM's configuration has to follow."""
    async with opened() as token:
        await token.call(SIGN_ROOT, SignRoot(LeafKind.SERVER_VERIFY, bytes(48)), deadline_seconds=DEADLINE)
    conf = directory / "hsm/softhsm2.conf"
    assert conf.read_text() == configuration_text(conf)


def test_two_directories_share_no_key(made_directory: Path, tmp_path: Path) -> None:
    make(tmp_path / "other")
    for name in (ANCHORS, CA_CERTIFICATE, ISSUING, SERVING_KEY, ANCHOR_KEY, "secrets/pin"):
        assert (made_directory / name).read_bytes() != (tmp_path / "other" / name).read_bytes()
    roots = [
        x509.load_pem_x509_certificate((directory / CA_CERTIFICATE).read_bytes())
        for directory in (made_directory, tmp_path / "other")
    ]
    assert roots[0].subject != roots[1].subject
