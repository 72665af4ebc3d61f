"""Each message goes there and back, and is refused when it is cut anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from sottovoce.wire import MessageType, WireError, messages, records
from sottovoce.wire.messages import flights
from sottovoce.wire.messages.tlv import body_of

VERIFICATION = messages.Verification(
    path=(b"\x01" * 48, b"\x02" * 48), directions=(0, 1), classical=(0x0503, b"c" * 96), pq=(0x0905, b"q" * 9)
)
TICKETLESS = messages.ClientHello((1,), (1,), b"r" * 32, (), 0)
HELLO = messages.ClientHello(
    versions=(1, 2),
    suites=(1, 0x0101),
    random=b"r" * 32,
    shares=((0x11EC, b"share"), (0x1D, b"")),
    binding_type=1,
    ticket=b"ticket",
    skippable=((0x8A, b"grease"),),
)

BOTH_WAYS: list[tuple[Any, bytes, Callable[[bytes], Any]]] = [
    (HELLO, HELLO.encode(), messages.ClientHello.decode_untrusted),
    (TICKETLESS, TICKETLESS.encode(), messages.ClientHello.decode_untrusted),
    *(
        (made, made.encode(), type(made).decode_untrusted)
        for made in (
            messages.ServerHello(1, 1, b"r" * 32, 0x11EC, b"share"),
            messages.ServerHello(1, 1, b"r" * 32, 0x11EC, b"share", ticket_accepted=True),
            messages.HelloRetry(0x11ED),
            messages.ServerParams(b"i" * 16, 300, 1000, 1, (2, 3), 1, (0,)),
            messages.ServerCertificate(b"certificate"),
            VERIFICATION,
            messages.Verification((), (), (0x0503, b"c" * 96), None),
            messages.ClientParams(2, 3, 20),
            messages.ClientParams(2, 3, 20, b'{"a":1}'),
            messages.ClientCredential(1, b"token"),
            messages.RekeyVerify(VERIFICATION, b"certificate"),
        )
    ),
    (b"m" * 48, messages.encode_finished(MessageType.CLIENT_FINISHED, b"m" * 48), messages.decode_finished_untrusted),
    *(
        (share, share.encode(kind), messages.RekeyShare.decode_untrusted)
        for share in (messages.RekeyShare(7, 0x11EC, b"share"),)
        for kind in (MessageType.REKEY_INIT, MessageType.REKEY_RESPONSE)
    ),
    (
        messages.NewTicket(60, b"ticket"),
        messages.encode_message(15, [(1, b"\0\0\0\x3c"), (2, b"ticket")]),
        messages.NewTicket.decode_untrusted,
    ),
    (
        messages.ClientVerify((0x0503, b"sig")),
        messages.encode_message(10, [(1, b"\x05\x03sig")]),
        messages.ClientVerify.decode_untrusted,
    ),
    (None, messages.encode_rekey_request(), messages.check_rekey_request_untrusted),
]


@pytest.mark.parametrize(("value", "encoded", "decode"), BOTH_WAYS)
def test_there_and_back(value: Any, encoded: bytes, decode: Callable[[bytes], Any]) -> None:
    assert decode(encoded) == value
    ((_, whole),) = messages.split_messages(encoded)
    assert whole == encoded


@pytest.mark.protocol("P11.4")
@pytest.mark.parametrize(("value", "encoded", "decode"), BOTH_WAYS[:-1])
def test_cut_anywhere_it_is_refused(value: Any, encoded: bytes, decode: Callable[[bytes], Any]) -> None:
    """A cut that takes a whole optional value away leaves another message, never the same one."""
    for end in range(4, len(encoded)):
        try:
            assert decode(encoded[:end]) != value
        except WireError:
            continue


def test_a_credential_does_not_show_its_value() -> None:
    credential = messages.ClientCredential(1, b"a bearer token")
    assert repr(credential) == "ClientCredential(kind=1, 14 bytes)"
    assert credential.__rich_repr__() == [("kind", 1), ("bytes", 14)]


@pytest.mark.protocol("P2.1", "P2.2")
def test_records() -> None:
    plain = records.encode_plain(HELLO.encode())
    assert records.decode_plain_untrusted(plain) == (1, HELLO.encode())
    sealed = records.sealed_header(5) + b"12345"
    assert records.decode_sealed_untrusted(sealed) == (b"\x01\x00\x05", b"12345")
    for bad in (b"", sealed, plain + plain[1:], b"\0" + bytes(16_385)):
        with pytest.raises(WireError):
            records.decode_plain_untrusted(bad)
    for bad in (b"", b"\x01", b"\x01\0", plain, sealed + b"6", sealed[:-1]):
        with pytest.raises(WireError):
            records.decode_sealed_untrusted(bad)


def test_a_ticket_is_accepted_by_a_one_or_not_at_all() -> None:
    made = messages.ServerHello(1, 1, b"r" * 32, 0x11EC, b"share", ticket_accepted=True).encode()
    for value in (b"\x00", b"\x02", b"", b"\x01\x01"):
        tlvs = messages.decode_tlvs(messages.body_of(made))
        with pytest.raises(WireError):
            messages.ServerHello.decode_untrusted(messages.encode_message(2, [*tlvs[:-1], (5, value)]))


@pytest.mark.parametrize("is_whole", [True, False])
def test_the_copy_of_a_token_that_is_made_on_the_way_is_overwritten(
    monkeypatch: pytest.MonkeyPatch, *, is_whole: bool
) -> None:
    bodies: list[bytes] = []

    def noting_body_of(message: bytes) -> bytes:
        bodies.append(body_of(message))
        return bodies[-1]

    monkeypatch.setattr(flights, "body_of", noting_body_of)
    message = messages.ClientCredential(1, b"a bearer token").encode()
    if is_whole:
        assert messages.ClientCredential.decode_untrusted(message).value == b"a bearer token"
    else:
        with pytest.raises(WireError):
            messages.ClientCredential.decode_untrusted(message[:3] + bytes([message[3] - 1]) + message[4:-1])
    (body,) = bodies
    assert not any(body)
