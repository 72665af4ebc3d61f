"""Changes of the clients file: whole or not at all, one after the other, and nothing else touched."""

import datetime as dt
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.identity import (
    ClientEntry,
    ClientRefused,
    ClientsUnusable,
    add_client,
    read_clients_file,
    revoke_clients,
)
from sottovoce.identity.clients import editing
from tests.identity.clients.files import digest, token_entry


def entry(name: str, **more: object) -> ClientEntry:
    fields: dict[str, object] = {"token_sha256": digest(name.encode()), "audience": ("voice.example.com",), **more}
    return ClientEntry(name=name, **fields)  # type: ignore[arg-type]  by name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clients.toml"


def names(file: Path) -> list[str]:
    return [each.name for each in read_clients_file(file).client]


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(file: Path) -> None:
    assert names(file) == []
    add_client(file, entry("a"))
    assert file.read_text().startswith("# Who may call")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(file) == ["a"]
    assert os.listdir(file.parent) == ["clients.toml"]  # noqa: PTH208  hidden ones too


def test_whatever_an_entry_has_is_read_again_as_it_was(file: Path) -> None:
    written = [
        entry('quo"te \\ é 🎙', routes=("a", "b"), expires=dt.date(2027, 1, 31), added=dt.date(2026, 11, 25)),
        entry("b", expires=dt.datetime(2027, 1, 31, 8, tzinfo=dt.UTC)),
    ]
    for each in written:
        add_client(file, each)
    assert read_clients_file(file).client == tuple(written)


HAND = """\
# Ours.  Do not touch.
withdrawn = [ # who left
    "gone",   # in May
]

# The kiosk in hall B,
# by the door.
[[ client ]] # first
name = 'hall-b'
token_sha256 = "{}"
audience = [
    "voice.example.com", # and no other
]

# The one in hall C.
[[client]]
name = "hall-c"
token_sha256 = "{}"
audience = ["voice.example.com"]
# a last word"""


@pytest.fixture
def by_hand(file: Path) -> Path:
    file.write_text(HAND.format(digest(b"b"), digest(b"c")))
    return file


def test_what_was_written_by_hand_stays_as_it_is(by_hand: Path) -> None:
    before = by_hand.read_text()
    add_client(by_hand, entry("new"))
    after = by_hand.read_text()
    assert after.startswith(before)
    assert revoke_clients(by_hand, name="new")[0].name == "new"
    assert by_hand.read_text().rstrip() == before.rstrip()


def test_an_entry_goes_with_the_comment_above_it(by_hand: Path) -> None:
    revoke_clients(by_hand, name="hall-b")
    text = by_hand.read_text()
    assert "hall B" not in text
    assert '# The one in hall C.\n[[client]]\nname = "hall-c"' in text
    assert text.startswith("# Ours.  Do not touch.\nwithdrawn = [ # who left\n")
    revoke_clients(by_hand, name="hall-c")
    assert names(by_hand) == []
    assert by_hand.read_text().startswith("# Ours.  Do not touch.\n")


def test_all_of_a_name_go_or_one_credential(file: Path) -> None:
    for number in range(3):
        add_client(file, entry("a", token_sha256=digest(bytes([number]))))
    add_client(file, entry("b"))
    assert [
        each.name
        for each in revoke_clients(file, credential=f"token:{digest(b'1')[:12]}"[:6] + digest(bytes([1]))[:12])
    ] == ["a"]
    assert names(file) == ["a", "a", "b"]
    assert len(revoke_clients(file, name="a")) == 2
    assert names(file) == ["b"]


@pytest.mark.parametrize("text", ["", "# only this\n", "# only this", token_entry(), "withdrawn = []\n", HAND])
def test_a_name_is_withdrawn(file: Path, text: str) -> None:
    file.write_text(text.replace("{}", digest(b"x"), 1).replace("{}", digest(b"y")))
    before = read_clients_file(file)
    assert revoke_clients(file, name="kiosk.example", withdraw=True) == ()
    assert read_clients_file(file).withdrawn == ("kiosk.example", *before.withdrawn)
    assert read_clients_file(file).client == before.client
    assert revoke_clients(file, credential="jwt:j-1", withdraw=True) == ()
    assert read_clients_file(file).withdrawn == ("jwt:j-1", "kiosk.example", *before.withdrawn)
    with pytest.raises(ClientRefused, match=r"'kiosk\.example' is withdrawn already in .*: nothing is left"):
        revoke_clients(file, name="kiosk.example", withdraw=True)
    with pytest.raises(ClientRefused, match=r"kiosk\.example is withdrawn: take it out of withdrawn in"):
        add_client(file, entry("kiosk.example"))


def test_withdrawing_takes_the_entries_out_too(by_hand: Path) -> None:
    assert len(revoke_clients(by_hand, name="hall-b", withdraw=True)) == 1
    assert names(by_hand) == ["hall-c"]
    assert read_clients_file(by_hand).withdrawn == ("hall-b", "gone")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(" a"), "the client.name is ' a': write 1 to 128 printable characters"),
        (entry("a", audience=None), "the client (a) has no audience"),
        (entry("a", routes=("/x",)), "the client (a): '/x' is no host or route"),
        (entry("a", public_key="ed25519:AAAA"), "the client (a) has both or none"),
    ],
)
def test_an_entry_that_would_not_be_read_is_not_written(file: Path, bad: ClientEntry, reason: str) -> None:
    with pytest.raises(ClientRefused) as caught:
        add_client(file, bad)
    assert reason in str(caught.value)
    assert not file.exists()


def test_the_same_credential_is_not_written_twice(file: Path) -> None:
    add_client(file, entry("a"))
    with pytest.raises(ClientRefused, match="has this token already: make another"):
        add_client(file, entry("b", token_sha256=digest(b"a")))


def test_nobody_is_revoked_who_is_not_there(by_hand: Path) -> None:
    before = by_hand.read_text()
    with pytest.raises(ClientRefused, match=r"there is no client 'nobody' in .*: see sottovoce clients list, or add"):
        revoke_clients(by_hand, name="nobody")
    assert by_hand.read_text() == before


def test_a_dry_run_writes_nothing(by_hand: Path) -> None:
    before = by_hand.read_text(), by_hand.stat().st_ino
    add_client(by_hand, entry("new"), dry_run=True)
    assert len(revoke_clients(by_hand, name="hall-b", dry_run=True)) == 1
    assert (by_hand.read_text(), by_hand.stat().st_ino) == before


@pytest.mark.parametrize(
    "text",
    [
        f'client = [{{name = "a", token_sha256 = "{digest(b"a")}", audience = ["x"]}}]\n',
        f'[["client"]]\nname = "a"\ntoken_sha256 = "{digest(b"a")}"\naudience = ["x"]\n',
    ],
)
def test_what_is_written_in_an_odd_way_is_left_to_the_hand(file: Path, text: str) -> None:
    file.write_text(text)
    try:
        name = names(file)[0]
    except ClientsUnusable:
        name = "a"
    with pytest.raises((ClientRefused, ClientsUnusable)):
        revoke_clients(file, name=name)
    assert file.read_text() == text


def test_a_file_that_is_broken_is_not_made_worse(file: Path) -> None:
    file.write_text(token_entry()[:-20])
    for change in (lambda: add_client(file, entry("a")), lambda: revoke_clients(file, name="open")):
        with pytest.raises(ClientsUnusable, match=f"^the clients file {file}: "):
            change()
    assert file.read_text() == token_entry()[:-20]


def test_a_link_stays_a_link_and_the_mode_stays(file: Path) -> None:
    real = file.with_name("real.toml")
    real.write_text("# here\n")
    real.chmod(0o640)
    file.symlink_to(real)
    add_client(file, entry("a"))
    assert file.is_symlink()
    assert names(real) == ["a"]
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ClientsUnusable, match=r"the clients file .* cannot be changed \(No such file or directory\)"):
        add_client(tmp_path / "none/clients.toml", entry("a"))
    with pytest.raises(ClientsUnusable, match=r"cannot be read \(Is a directory\): check clients\.file"):
        add_client(tmp_path, entry("a"))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = by_hand.read_text()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(editing.os, "fsync", fail)
    with pytest.raises(ClientsUnusable, match=r"cannot be changed \(No space left on device\)"):
        add_client(by_hand, entry("a"))
    assert by_hand.read_text() == before
    assert os.listdir(by_hand.parent) == ["clients.toml"]  # noqa: PTH208  hidden ones too


def test_of_many_at_a_time_none_is_lost(file: Path) -> None:
    threads = [threading.Thread(target=add_client, args=(file, entry(f"c{number}"))) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(file)) == sorted(f"c{number}" for number in range(16))


_texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(_texts, st.lists(_texts, max_size=2))
def test_any_name_is_written_and_taken_out_again_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, routes: list[str]
) -> None:
    file = tmp_path_factory.mktemp("any") / "clients.toml"
    add_client(file, entry("first"))
    before = file.read_text()
    try:
        add_client(file, entry(name, token_sha256=digest(b"x"), routes=tuple(routes) or None))
    except ClientRefused:
        assert file.read_text() == before
        return
    assert names(file) == ["first", name]
    revoke_clients(file, credential=f"token:{digest(b'x')[:12]}")
    assert file.read_text().rstrip() == before.rstrip()
