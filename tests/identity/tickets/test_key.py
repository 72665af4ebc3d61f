"""One key: numbers, the record of used tickets, and its end."""

import os
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.hsm import WrappedKey
from sottovoce.identity.tickets import LivingTicketKey, RecordsHere, layout
from sottovoce.identity.tickets.key import TicketKey
from sottovoce.primitives import Secret
from sottovoce.transport import SystemEntropy
from tests.identity.tickets.boxes import AUTHORITY, PATH, WALL, HandClock, state_of

NOW = 1_000.0
WRAPPED = WrappedKey(purpose="ticket", serial=bytes(range(16)), nonce=bytes(12), sealed=bytes(48))


def new_key(max_tickets: int = 1 << 24) -> TicketKey:
    records = RecordsHere(max_tickets=max_tickets)
    living = LivingTicketKey(WRAPPED, "a", records.begin(WRAPPED.serial[:8]), NOW, NOW + 3_600)
    with Secret("ticket key", os.urandom(32)) as secret:
        return TicketKey(living, secret, records.of(living.id, living.place))


def seal(key: TicketKey) -> tuple[bytes, layout.Head]:
    assert key.can_seal(NOW)
    content = layout.Content.of(state_of(HandClock()), 3_600, WALL, NOW)
    ticket = key.seal(content, AUTHORITY, PATH, SystemEntropy())
    assert ticket is not None
    head = layout.decode_head_untrusted(ticket)
    assert head is not None
    return ticket, head


def test_its_id_is_of_its_serial() -> None:
    key = new_key()
    assert key.id == bytes(range(8))
    assert seal(key)[0][1:9] == key.id


def test_each_ticket_is_spent_once_in_any_order() -> None:
    key = new_key()
    heads = [seal(key)[1] for _ in range(300)]
    shuffled = heads * 3
    random.Random(1).shuffle(shuffled)  # noqa: S311  an order, no secret
    spent = [head for head in shuffled if key.spend(head)]
    assert sorted(spent) == sorted(heads)


@given(st.integers(0, 2**32 - 1))
def test_a_number_that_was_never_given_out_is_not_spent(number: int) -> None:
    key = new_key()
    _, head = seal(key)
    honest = head.masked_number
    assert key.spend(head._replace(masked_number=number)) == (number == honest)


def test_numbers_are_masked() -> None:
    """Two tickets tell nobody how many others were given out between them."""
    key = new_key()
    numbers = [seal(key)[1].masked_number for _ in range(100)]
    assert len(set(numbers)) == 100
    assert min(number for number in numbers) > 100
    assert numbers != sorted(numbers)


def test_a_key_seals_no_more_than_it_can_remember() -> None:
    key = new_key(max_tickets=3)
    for _ in range(3):
        assert key.can_seal(NOW)
        seal(key)
    assert not key.can_seal(NOW)


def test_a_key_seals_for_an_hour() -> None:
    key = new_key()
    assert not key.can_seal(NOW - 0.1)
    assert key.can_seal(NOW + 3_599.9)
    assert not key.can_seal(NOW + 3_600)


def test_erased_nothing_is_left_of_it() -> None:
    key = new_key()
    ticket, head = seal(key)
    _, other = seal(key)
    assert key.spend(head)
    assert not key._mask_key.is_wiped
    key.erase()
    assert key.is_erased
    assert key._cipher is None
    assert key._seal_key.is_wiped
    assert key._mask_key.is_wiped
    assert not key.can_seal(NOW)
    assert key.open(ticket, head, AUTHORITY, PATH) is None
    assert not key.spend(other)
    content = layout.Content.of(state_of(HandClock()), 3_600, WALL, NOW)
    assert key.seal(content, AUTHORITY, PATH, SystemEntropy()) is None


def test_the_key_is_not_used_for_two_things() -> None:
    """Sealing and masking have keys of their own, neither of them the one that the token gave."""
    with Secret("ticket key", bytes(range(32))) as secret:
        key = TicketKey(LivingTicketKey(WRAPPED, "a", 0, NOW, NOW), secret, RecordsHere().of(bytes(8), 0))
        assert key._seal_key != secret
        assert key._mask_key.copy_for_sealing()[:32] not in {
            secret.copy_for_sealing(),
            key._seal_key.copy_for_sealing(),
        }
        assert len(key._mask_key) == 48


@pytest.mark.parametrize("field", ["nonce", "key_id"])
def test_the_head_is_authenticated(field: str) -> None:
    key = new_key()
    ticket, head = seal(key)
    other = msgspec.convert({"nonce": bytes(12), "key_id": bytes(8)}[field], bytes)
    assert key.open(ticket, head._replace(**{field: other}), AUTHORITY, PATH) is None
    assert key.open(ticket, head._replace(masked_number=head.masked_number ^ 1), AUTHORITY, PATH) is None
    assert key.open(ticket, head, AUTHORITY, PATH) is not None
