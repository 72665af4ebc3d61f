"""The ratchet alone: two chains from one base key, record by record; what is refused moves nothing."""

from typing import Any

import hypothesis.strategies as st
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings

from sottovoce.primitives import ApiMisuse, Secret, Suite
from sottovoce.session import ReceiveChain, SendChain
from sottovoce.session.ratchet import RESTING_RECORDS, key_id
from sottovoce.wire import Code, WireError, sframe
from tests.session.foreign_bytes import Chain

SUITES = [Suite.X25519MLKEM768_AES256GCM, Suite.X25519MLKEM768_CHACHA20POLY1305]


def chains(suite: Suite = SUITES[0], epoch: int = 1, per_key: int = 16) -> tuple[SendChain, ReceiveChain]:
    base = bytes(range(64))
    return SendChain(Secret("c2s", base), epoch, suite, per_key), ReceiveChain(
        Secret("c2s", base), epoch, suite, per_key
    )


def refused(chain: ReceiveChain, record: bytes) -> Code:
    with pytest.raises(WireError) as caught:
        chain.open(record)
    return caught.value.code


@pytest.mark.protocol("P7.1", "P7.33", "P8.3")
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("epoch", [1, 15, 16, 2**32 - 1])
def test_many_generations_one_after_the_other(suite: Suite, epoch: int) -> None:
    sender, receiver = chains(suite, epoch)
    for number in range(16 * 18):
        record = sender.seal(number.to_bytes(2))
        kid, counter, _ = sframe.decode_header_untrusted(record)
        assert (kid, counter) == (key_id(epoch, number // 16), number % 16)
        assert receiver.open(record) == number.to_bytes(2)
        assert sender.generation == receiver.generation == number // 16


@pytest.mark.protocol("P8.5", "P7.29")
def test_counters_of_every_width() -> None:
    sender, receiver = chains(per_key=65_536)
    headers = set[bytes]()
    for number in range(600):
        record = sender.seal(b"")
        headers.add(record[:-16])
        assert record.startswith(sframe.encode_header(0x10, number))
        assert receiver.open(record) == b""
    assert {len(header) for header in headers} == {2, 3, 4}
    assert len(headers) == 600


@pytest.mark.parametrize("per_key", [255, 256, 257, 300])
def test_a_generation_ends_at_a_counter_of_any_width(per_key: int) -> None:
    sender, receiver = chains(per_key=per_key)
    for number in range(2 * per_key + 1):
        assert receiver.open(sender.seal(b"x")) == b"x"
        assert receiver.generation == number // per_key


@pytest.mark.protocol("P7.34", "P7.35", "P7.36", "P7.44", "P7.45", "P11.32")
@pytest.mark.parametrize("already", [0, 1, 15, 16, 17, 31])
def test_what_is_refused_moves_nothing(already: int) -> None:
    sender, receiver = chains()
    for number in range(already):
        receiver.open(sender.seal(bytes([number])))
    record, ahead = sender.seal(b"next"), sender.seal(b"ahead")
    header = sframe.decode_header_untrusted(record)[2]
    bad = [
        (b"", Code.BAD_RECORD),
        (b"\x10" + bytes(30), Code.BAD_RECORD),
        (record[: header + 15], Code.BAD_RECORD),
        (record[: header - 1], Code.BAD_RECORD),
        (b"\xf0" + bytes(30), Code.BAD_RECORD),
        (ahead[:10], Code.BAD_RECORD),
        (ahead, Code.REPLAY_OR_GAP),
        (sframe.encode_header(0x20, 0) + bytes(16), Code.REPLAY_OR_GAP),
        (sframe.encode_header(0x10, 16) + bytes(16), Code.KEY_LIMIT),
        (sframe.encode_header(0x99, 2**63) + bytes(16), Code.KEY_LIMIT),
        (record[:-1] + bytes([record[-1] ^ 1]), Code.DECRYPT_FAILED),
        (record + b"\0", Code.DECRYPT_FAILED),
        (record[:header] + bytes(16), Code.DECRYPT_FAILED),
    ]
    for wrong, code in bad:
        assert refused(receiver, wrong) == code
        assert refused(receiver, wrong) == code
    assert receiver.open(record) == b"next"
    assert refused(receiver, record) == Code.REPLAY_OR_GAP
    assert receiver.open(ahead) == b"ahead"


@given(st.binary(max_size=80), st.integers(0, 40))
@settings(deadline=None, max_examples=60)
def test_arbitrary_bytes_raise_wire_errors_only(data: bytes, already: int) -> None:
    sender, receiver = chains()
    for _ in range(already):
        receiver.open(sender.seal(b"x"))
    refused(receiver, data)
    assert receiver.open(sender.seal(b"x")) == b"x"


@pytest.mark.protocol("P5.22", "P7.32")
@pytest.mark.parametrize("direction", [0, 1])
def test_a_wiped_chain_holds_nothing_and_does_nothing(direction: int) -> None:
    sender, receiver = chains()
    record = sender.seal(b"x")
    chain: Any = (sender, receiver)[direction]
    base, current = chain._base, chain._current
    chain.wipe()
    assert base.is_wiped
    assert (current.nonce_head, current.nonce_tail) == (bytes(10), 0)
    with pytest.raises(ApiMisuse):
        chain.seal(b"x") if direction == 0 else chain.open(record)


@given(st.lists(st.sampled_from(["record", "record", "record", "sender rests", "receiver rests"]), max_size=80))
@settings(deadline=None, max_examples=60)
def test_a_chain_may_rest_at_any_time(done: list[str]) -> None:
    sender, receiver = chains()
    for number, what in enumerate(done):
        if what == "record":
            assert receiver.open(sender.seal(bytes([number]))) == bytes([number])
        else:
            (sender if what == "sender rests" else receiver).rest()


def has_cipher(chain: Any) -> bool:
    return isinstance(chain._current.cipher, AESGCM)


def test_a_chain_keeps_its_cipher_while_records_pass() -> None:
    sender, receiver = chains(per_key=1_000)
    both = (sender, receiver)
    for _ in range(RESTING_RECORDS):
        receiver.open(sender.seal(b"x"))
    assert not any(map(has_cipher, both))
    for _ in range(2):
        receiver.open(sender.seal(b"x"))
        assert all(map(has_cipher, both))
        sender.rest()
        receiver.rest()
    assert not any(map(has_cipher, both))
    for _ in range(3):
        for _ in range(RESTING_RECORDS + 1):
            receiver.open(sender.seal(b"x"))
        for chain in both:
            chain.rest()
    assert all(map(has_cipher, both))


def test_eight_records_are_as_good_as_none_and_nine_are_not() -> None:
    for passed in (0, RESTING_RECORDS, RESTING_RECORDS + 1):
        sender, receiver = chains(per_key=1_000)
        for count in (RESTING_RECORDS + 1, passed):
            for _ in range(count):
                receiver.open(sender.seal(b"x"))
            for chain in (sender, receiver):
                assert has_cipher(chain)
                chain.rest()
        assert has_cipher(sender) is has_cipher(receiver) is (passed > RESTING_RECORDS)


def test_what_is_refused_at_rest_moves_nothing() -> None:
    sender, receiver = chains()
    record = sender.seal(b"x")
    for _ in range(2 * RESTING_RECORDS):
        assert refused(receiver, record[:-1] + bytes([record[-1] ^ 1])) == Code.DECRYPT_FAILED
    assert receiver.open(record) == b"x"


@pytest.mark.protocol("P5.22")
def test_a_wiped_chain_does_not_wake() -> None:
    sender, receiver = chains()
    record = sender.seal(b"x")
    for chain in (sender, receiver):
        chain.wipe()
        chain.rest()
    with pytest.raises(ApiMisuse):
        sender.seal(b"x")
    with pytest.raises(ApiMisuse):
        receiver.open(record)


@pytest.mark.protocol("P5.22", "P7.32")
def test_a_wiped_chain_does_not_go_on_to_a_generation_that_everybody_could_derive() -> None:
    sender, receiver = chains()
    for _ in range(16):
        receiver.open(sender.seal(b"x"))
    forger = Chain(bytes(64), 1, int(SUITES[0]), 16)
    for chain in (sender, receiver):
        chain.wipe()
    for _ in range(2):
        with pytest.raises(ApiMisuse):
            sender.seal(b"x")
    with pytest.raises(ApiMisuse):
        receiver.open(forger.seal_at(1, 0, b"forged"))
