"""A ticket's bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.identity.tickets import layout
from sottovoce.session import Identity
from tests.identity.tickets.boxes import PATH, WALL, HandClock, desk_with_key, state_of


def content(name: str = "alice", **changes: object) -> layout.Content:
    state = state_of(HandClock(), identity=Identity(name), **changes)
    return layout.Content.of(state, 3_600, WALL, 1_000.0)


def test_what_is_sealed_comes_back() -> None:
    plaintext = layout.encode_content(content())
    assert plaintext is not None
    back = layout.decode_content(plaintext)
    again = layout.encode_content(back)
    assert again is not None
    assert (back.name, len(back.psk), again) == ("alice", 48, plaintext)


@pytest.mark.parametrize(("name_bytes", "ticket_bytes"), [(0, 512), (100, 512), (300, 1_024), (600, 1_024)])
def test_there_are_two_sizes_whoever_it_is_for(name_bytes: int, ticket_bytes: int) -> None:
    desk = desk_with_key()
    assert len(desk.sealed(state_of(desk.clock, identity=Identity("a" * name_bytes)))) == ticket_bytes


def test_the_place_takes_no_room() -> None:
    desk = desk_with_key()
    far = PATH + b"?" + bytes(8_000)
    ticket = desk.sealed(state_of(desk.clock, path=far))
    assert len(ticket) == 512
    assert desk.open(ticket, path=far) is not None


def test_what_does_not_fit_is_no_ticket() -> None:
    desk = desk_with_key()
    assert desk.seal(state_of(desk.clock, identity=Identity("a" * 1_000))) is None
    assert desk.record_of(desk.keys[0]).sealed == 0


def test_the_longest_that_fits_opens() -> None:
    desk = desk_with_key()
    longest = next(
        length for length in range(1_000, 0, -1) if desk.seal(state_of(desk.clock, identity=Identity("a" * length)))
    )
    state = state_of(desk.clock, identity=Identity("a" * longest))
    ticket = desk.sealed(state)
    assert len(ticket) == 1_024
    assert desk.open(ticket) == state


@given(st.binary(max_size=1_100))
def test_garbage_has_no_head(data: bytes) -> None:
    head = layout.decode_head_untrusted(data)
    assert (head is not None) == (len(data) in {512, 1_024} and data[0] == 1)


def test_a_head_is_read_as_it_was_written() -> None:
    head = layout.Head(b"k" * 8, b"n" * 12, 77)
    ticket = head.encode() + bytes(512 - len(head.encode()))
    assert layout.decode_head_untrusted(ticket) == head
    assert layout.body_of(ticket) == bytes(512 - 25)


def test_authority_and_path_cannot_be_shifted_into_each_other() -> None:
    assert layout.associated_data(b"h", b"ab", b"/c") == b"sottovoce.v1 ticket\x00h\x00\x00\x00\x02ab/c"
    assert layout.associated_data(b"h", b"a", b"b/c") != layout.associated_data(b"h", b"ab", b"/c")
