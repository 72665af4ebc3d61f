"""The three steps over a real token: what each makes, refuses, and leaves."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import msgspec
import pytest

from sottovoce.app.anchors import AnchorsRefused, AnchorsSeen, list_anchors, replacing, retire, rotate, switch
from sottovoce.app.places import ANCHOR_KEY, ANCHOR_LIST, ANCHORS, AUDIT_LOG, token_files
from sottovoce.app.token_process import COMMAND
from sottovoce.audit import read_tail, verify_audit
from sottovoce.hsm import ONLY_NODE, HsmError, OperationRefused, open_token
from sottovoce.identity import (
    CREATE_ANCHOR,
    DESTROY_ANCHOR,
    ISSUE_VOICE_CERTIFICATE,
    AnchorsUnusable,
    CreateAnchor,
    DestroyAnchor,
    IssueVoiceCertificate,
    load_anchors,
)
from sottovoce.session import decode_certificate_untrusted, format_anchor_file, verify_certificate
from sottovoce.settings import ConfigurationInvalid
from sottovoce.transport import SystemClock
from tests.app.directories import DEADLINE, PATIENT, OpenToken

pytestmark = pytest.mark.interop(tool="softhsm2-util")
WEEK = 7 * 86_400
FREE = "sottovoce-anchor-7"
SECOND_SEED = "keys/anchor-2.mldsa87.json"


async def rotated(directory: Path, *, dry_run: bool = False) -> AnchorsSeen:
    return await rotate(directory, dry_run=dry_run, progress=[].append)


async def switched(directory: Path, *, back: bool = False, dry_run: bool = False) -> AnchorsSeen:
    return await switch(directory, back=back, dry_run=dry_run)


def ids(directory: Path) -> list[str]:
    """What clients are given."""
    return [each.anchor_id.hex() for each in load_anchors(directory / ANCHORS)]


async def issuer(opened: OpenToken, directory: Path) -> str:
    """Have a voice certificate issued; it must convince who has the anchor file.  Gives its anchor's id."""
    async with opened() as token:
        question = IssueVoiceCertificate(ONLY_NODE, ("localhost",), 3600)
        answer = await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)
    certificate = decode_certificate_untrusted(answer.certificate)
    anchor = verify_certificate(certificate, load_anchors(directory / ANCHORS), "localhost", SystemClock().wall())
    return anchor.anchor_id.hex()


def files(directory: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in sorted(directory.rglob("*")) if each.is_file()}


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    wall = replacing.wall
    monkeypatch.setattr(replacing, "wall", lambda: wall() + seconds)


async def test_the_whole_way(opened: OpenToken, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = ids(directory)
    before = directory.joinpath(ANCHORS).read_bytes()
    assert not (directory / ANCHOR_LIST).exists()
    assert [each.id for each in list_anchors(directory).anchors] == [first]

    done = await rotated(directory)
    assert done.changed
    old, new = ids(directory)
    assert old == first
    assert [(each.id, each.key, each.is_issuing) for each in done.anchors] == [
        (old, "sottovoce-anchor", True),
        (new, "sottovoce-anchor-2", False),
    ]
    assert stat.S_IMODE((directory / SECOND_SEED).stat().st_mode) == 0o600
    assert stat.S_IMODE((directory / ANCHORS).stat().st_mode) == 0o644
    assert await issuer(opened, directory) == old

    done = await switched(directory)
    assert done.issuer.id == new
    assert await issuer(opened, directory) == new
    with pytest.raises(AnchorsRefused, match=r"calls may run under certificates of anchor .* until 20.* UTC"):
        await retire(directory, dry_run=False)

    later(monkeypatch, WEEK + 200)
    with pytest.raises(AnchorsRefused, match="calls may run"):
        await retire(directory, dry_run=False)
    later(monkeypatch, 101)
    done = await retire(directory, dry_run=False)
    assert (done.retired, ids(directory)) == (old, [new])
    assert not (directory / ANCHOR_KEY).exists()
    assert await issuer(opened, directory) == new
    assert directory.joinpath(ANCHORS).read_bytes() not in {before, b""}

    names = [(each.event, each.fields.get("anchor")) for each in read_tail(directory / AUDIT_LOG, 3)]
    assert names == [("anchor_created", new), ("anchor_switched", new), ("anchor_retired", old)]
    verify_audit(directory / AUDIT_LOG)

    done = await rotated(directory)
    assert [each.key for each in done.anchors] == ["sottovoce-anchor-2", "sottovoce-anchor-3"]
    await switched(directory)
    later(monkeypatch, WEEK + 300)
    await retire(directory, dry_run=False)
    assert await issuer(opened, directory) == ids(directory)[0]


async def test_run_again_it_does_nothing_twice(opened: OpenToken, directory: Path) -> None:
    assert (await rotated(directory)).changed
    made = files(directory / "keys")
    again = await rotated(directory)
    assert not again.changed
    assert files(directory / "keys") == made
    assert (await switched(directory)).changed
    made = files(directory / "keys")
    assert not (await switched(directory)).changed
    assert files(directory / "keys") == made
    assert (await switched(directory, back=True)).changed
    assert await issuer(opened, directory) == ids(directory)[0]
    with pytest.raises(AnchorsRefused, match="issues voice certificates: sottovoce anchor switch"):
        await retire(directory, dry_run=False)
    await switched(directory)
    with pytest.raises(AnchorsRefused, match=f"still handed out .* sottovoce anchor retire {directory} --yes"):
        await rotated(directory)


async def test_a_dry_run_changes_no_byte(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(directory)
    assert (await rotated(directory, dry_run=True)).changed
    assert files(directory) == before
    await rotated(directory)
    before = files(directory)
    assert not (await rotated(directory, dry_run=True)).changed
    assert (await switched(directory, dry_run=True)).issuer.id == ids(directory)[1]
    assert files(directory) == before
    await switched(directory)
    later(monkeypatch, WEEK + 301)
    before = files(directory)
    assert (await retire(directory, dry_run=True)).retired == ids(directory)[0]
    assert files(directory) == before


async def test_the_new_anchor_stands_for_the_names_of_the_configuration(directory: Path) -> None:
    with (directory / "sottovoce.toml").open("a") as file:
        file.write('\n[identity]\nnames = ["localhost", "voice.example.org"]\n')
    await rotated(directory)
    old, new = load_anchors(directory / ANCHORS)
    assert new.authorities == ("localhost", "voice.example.org")
    changed = (msgspec.structs.replace(old, authorities=("localhost", "by.hand.example")), new)
    (directory / ANCHORS).write_bytes(format_anchor_file(changed))
    await switched(directory)
    assert load_anchors(directory / ANCHORS)[0].authorities == ("localhost", "by.hand.example"), "kept"


async def test_what_is_not_to_be_done_is_said_in_one_line(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnchorsRefused, match=r"one anchor only.*sottovoce anchor rotate"):
        await switched(directory)
    with pytest.raises(AnchorsRefused, match=r"one anchor only.*sottovoce anchor rotate"):
        await retire(directory, dry_run=False)
    with pytest.raises(ConfigurationInvalid, match="no such directory"):
        await rotated(directory / "none")
    folder = os.open(directory / "keys", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(AnchorsRefused, match="another command"):
        await rotated(directory)
    os.close(folder)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 4321)
    with pytest.raises(AnchorsRefused, match=r"belongs to .*: run this as that user"):
        await rotated(directory)


async def test_a_wrong_pin_is_tried_once_and_nothing_is_made(directory: Path) -> None:
    (directory / "secrets/pin").write_text("1234567\n")
    before = files(directory / "keys")
    with pytest.raises(HsmError, match="does not open token"):
        await rotated(directory)
    assert files(directory / "keys") == before


async def test_an_anchor_file_of_another_token_is_no_beginning(directory: Path) -> None:
    await rotated(directory)
    both = (directory / ANCHORS).read_bytes()
    (directory / ANCHOR_LIST).unlink()
    with pytest.raises(AnchorsRefused, match=r"holds 2 anchors and .* is missing"):
        await rotated(directory)
    foreign = load_anchors(directory / ANCHORS)[1:]
    (directory / ANCHORS).write_bytes(format_anchor_file(foreign))
    with pytest.raises(HsmError, match="are others in this token"):
        await rotated(directory)
    assert not (directory / ANCHOR_LIST).exists()
    (directory / ANCHORS).write_bytes(both)
    (directory / ANCHOR_LIST).write_text('{"format": "x"}')
    with pytest.raises(AnchorsUnusable, match="list of anchors"):
        await rotated(directory)


async def test_a_running_proxys_token_process_makes_and_destroys_no_anchor(opened: OpenToken, directory: Path) -> None:
    async with opened() as token:
        for operation, question in ((CREATE_ANCHOR, CreateAnchor(FREE)), (DESTROY_ANCHOR, DestroyAnchor(FREE))):
            with pytest.raises(OperationRefused, match="has no operation"):
                await token.call(operation, question, deadline_seconds=DEADLINE)  # type: ignore[arg-type]


async def test_the_one_for_commands_issues_nothing_and_spares_the_anchor_that_issues(directory: Path) -> None:
    config = PATIENT.resolved(directory)
    async with open_token(
        config, command=COMMAND, files=token_files(config, directory), report=[].append, change_keys=True
    ) as token:
        question = IssueVoiceCertificate(ONLY_NODE, ("localhost",), 3600)
        with pytest.raises(OperationRefused, match="has no operation"):
            await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)
        for key in ("sottovoce-anchor", "sottovoce-serving", "sottovoce-kek", ""):
            with pytest.raises(OperationRefused, match="the key that issues, or no anchor's"):
                await token.call(DESTROY_ANCHOR, DestroyAnchor(key), deadline_seconds=DEADLINE)
            with pytest.raises(OperationRefused, match="the key that issues, or no anchor's"):
                await token.call(CREATE_ANCHOR, CreateAnchor(key), deadline_seconds=DEADLINE)
        await token.call(DESTROY_ANCHOR, DestroyAnchor(FREE), deadline_seconds=DEADLINE)


async def test_a_full_disk_is_one_line_and_nothing_is_lost(
    opened: OpenToken, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(directory)

    def full(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(replacing, "replace_file", full)
        with pytest.raises(AnchorsRefused, match=r"anchor-2.mldsa87.json cannot be written .No space left"):
            await rotated(directory)
    assert await issuer(opened, directory) == before[0]
    assert (await rotated(directory)).changed


async def test_of_three_tokens_the_anchor_of_one_is_replaced_and_all_are_handed_out(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ids(three)
    assert [(each.node, each.id) for each in list_anchors(three).anchors] == list(zip("abc", first, strict=True))
    assert [each.id for each in list_anchors(three, "b").anchors] == [first[1]]

    done = await rotate(three, node="b", dry_run=False, progress=[].append)
    new = done.anchors[-1].id
    assert {each.node for each in done.anchors} == {"b"}
    assert ids(three) == [first[0], first[1], new, first[2]]
    assert (three / "keys/b/anchor-2.mldsa87.json").exists()
    with pytest.raises(AnchorsRefused, match="there is one anchor only"):
        await switched(three)

    done = await switch(three, node="b", back=False, dry_run=False)
    assert done.issuer.id == new
    later(monkeypatch, WEEK + 400)
    done = await retire(three, node="b", dry_run=False)
    assert done.retired == first[1]
    assert ids(three) == [first[0], new, first[2]]
    events = [(each.event, each.fields.get("token")) for each in read_tail(three / AUDIT_LOG, 3)]
    assert events == [
        ("anchor_created", "sottovoce-b"),
        ("anchor_switched", None),
        ("anchor_retired", "sottovoce-b"),
    ]


async def test_a_token_that_is_not_there_has_no_anchor_to_replace(three: Path, directory: Path) -> None:
    with pytest.raises(AnchorsRefused, match=r"no token d in .*: write --node with one of a, b, c"):
        await rotate(three, node="d", dry_run=False, progress=[].append)
    with pytest.raises(AnchorsRefused, match="write --node with one of main"):
        await rotate(directory, node="a", dry_run=False, progress=[].append)


async def test_a_hint_names_the_token(three: Path) -> None:
    with pytest.raises(AnchorsRefused) as refused:
        await switch(three, node="c", back=False, dry_run=False)
    assert str(refused.value).endswith(f"sottovoce anchor rotate {three} --node c makes another")


async def test_without_another_tokens_list_nothing_is_handed_out(three: Path) -> None:
    before = ids(three)
    (three / "keys/c/anchors.json").unlink()
    with pytest.raises(AnchorsRefused, match=r"keys/c/anchors\.json is missing: restore both"):
        await rotate(three, node="a", dry_run=False, progress=[].append)
    assert ids(three) == before
    assert not (three / "keys/a/anchor-2.mldsa87.json").exists()


async def test_a_command_for_one_token_keeps_those_for_others_out(three: Path) -> None:
    descriptor = os.open(three / "keys/a", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(AnchorsRefused, match="another command changes the anchors"):
            await rotate(three, node="c", dry_run=False, progress=[].append)
    finally:
        os.close(descriptor)
