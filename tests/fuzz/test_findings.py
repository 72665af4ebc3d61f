"""Each fuzz target over what it starts from, what it has reached, and every input that once showed a fault."""

import pytest

from tests.fuzz.catalogue import FINDINGS, TARGETS, corpus_of, findings_of
from tests.fuzz.choices import Choices
from tests.fuzz.edge import honest_pieces
from tests.fuzz.files import drop_file
from tests.fuzz.insider import AtOurClient, AtOurServer, run_insider
from tests.fuzz.seeds import KINDS
from tests.fuzz.talk import run_talk
from tests.fuzz.toy import toy_world


@pytest.fixture(autouse=True, scope="module")
def _no_file_is_left() -> object:  # pyright: ignore[reportUnusedFunction]  pytest finds it
    yield
    drop_file()


@pytest.mark.parametrize("name", TARGETS)
def test_where_it_starts(name: str) -> None:
    seeds = [seed[: TARGETS[name].max_bytes] for seed in TARGETS[name].seeds()]
    assert seeds
    for seed in (b"", *seeds):
        TARGETS[name].fuzz(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_what_it_has_reached(name: str) -> None:
    for data in corpus_of(name):
        TARGETS[name].fuzz(data)


FOUND = [(name, path) for name in TARGETS for path in findings_of(name)]


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.stem}" for name, path in FOUND])
def test_what_was_found(name: str, path: object) -> None:
    TARGETS[name].fuzz(next(found for found in findings_of(name) if found == path).read_bytes())


def test_each_directory_of_findings_has_its_target() -> None:
    assert {path.name for path in FINDINGS.iterdir() if path.is_dir()} <= set(TARGETS)


# The harness itself: a conversation that nobody disturbs gets where it should.


def test_a_peaceful_conversation_reaches_every_epoch_and_loses_nothing() -> None:
    with toy_world():
        talk = run_talk(b"\0\0\0\0\0\1" + bytes([1, 1, 30, 2, 1, 0, 0, 0, 5, 0, 9]) * 60, hostile=False)
    assert talk.client.established == talk.server.established == 1
    assert not talk.disturbed


@pytest.mark.parametrize("kind", KINDS)
def test_an_insider_who_changes_nothing_is_let_in(kind: int) -> None:
    with toy_world():
        assert run_insider(bytes([0, 0, 0, 0, kind]), AtOurServer).end.established == 1
        assert run_insider(bytes([kind]), AtOurClient).end.established == 1


def test_the_honest_client_of_the_edge_is_served() -> None:
    with toy_world():
        assert len(honest_pieces()) > 20


def test_choices_go_on_after_the_end_of_the_input() -> None:
    choices = Choices(b"\5ab")
    assert choices.piece() == b"ab"
    assert not choices.are_left
    assert (choices.byte(), choices.number(4), choices.pick("xy"), choices.piece()) == (0, 0, "x", b"")
