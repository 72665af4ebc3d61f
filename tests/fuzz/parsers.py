"""Targets for the pure decoders: records, messages, frames, voice certificates.

A decoder gives a value or raises WireError, nothing else; and what it gives encodes back to the bytes it came from,
where the protocol leaves one spelling only.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sottovoce.session import CertificateRefused, decode_certificate_untrusted, verify_certificate
from sottovoce.wire import Code, FrameType, MessageType, WireError, frames, is_json_object, messages, records, sframe
from sottovoce.wire.limits import MAX_JSON_BYTES, MAX_MARK_BYTES, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES
from sottovoce.wire.messages import decode_tlvs, encode_tlvs, split_messages
from tests.fuzz.choices import Choices
from tests.fuzz.toy import anchors, toy_certificate, toy_world
from tests.session.keys import HOST, WALL

ISSUED: tuple[tuple[str, ...], ...] = ((HOST,), ("*.example.com", "::1", "192.0.2.1"))
"""The names in the certificates that the anchor has signed."""
REFUSALS = {Code.BAD_RECORD, Code.TOO_LARGE}
"""What bytes alone can be refused with."""


def allowed(error: WireError, codes: set[Code] = REFUSALS) -> None:
    """A refusal is for one of these codes."""
    assert error.code in codes, error


def refused(decode: Callable[..., object], *arguments: object, **named: object) -> object | None:
    """What `decode` gives, or None where it refuses with a code that bytes alone can earn."""
    try:
        return decode(*arguments, **named)
    except WireError as error:
        allowed(error)
        return None


def fuzz_records_and_frames(data: bytes) -> None:
    """The same bytes as a record and as what is sealed inside one."""
    _records(data)
    _frames(data)


def _records(data: bytes) -> None:
    """The first byte of a record, what follows it, and the SFrame header."""
    header = refused(sframe.decode_header_untrusted, data)
    if isinstance(header, tuple):
        kid, counter, length = header
        assert sframe.encode_header(kid, counter) == data[:length], "two names for one frame"
    plain = refused(records.decode_plain_untrusted, data)
    if isinstance(plain, tuple):
        kind, message = plain
        assert records.encode_plain(message) == data
        assert message[0] == kind
        assert len(message) <= MAX_MESSAGE_BYTES
    sealed = refused(records.decode_sealed_untrusted, data)
    if isinstance(sealed, tuple):
        assert sealed[0] + sealed[1] == data
        assert records.sealed_header(len(sealed[1])) == sealed[0]
    found: Any = refused(split_messages, data)
    if found is not None:
        assert b"".join(message for _, message in found) == data
        assert found
    fields: Any = refused(decode_tlvs, data)
    if fields is not None:
        assert encode_tlvs(fields) == data
        assert sorted({tag for tag, _ in fields}) == [tag for tag, _ in fields]


_MESSAGES: dict[MessageType, Callable[[bytes], Any]] = {
    MessageType.CLIENT_HELLO: messages.ClientHello.decode_untrusted,
    MessageType.SERVER_HELLO: messages.ServerHello.decode_untrusted,
    MessageType.HELLO_RETRY: messages.HelloRetry.decode_untrusted,
    MessageType.SERVER_PARAMS: messages.ServerParams.decode_untrusted,
    MessageType.SERVER_CERTIFICATE: messages.ServerCertificate.decode_untrusted,
    MessageType.SERVER_VERIFY: messages.Verification.decode_untrusted,
    MessageType.SERVER_FINISHED: messages.decode_finished_untrusted,
    MessageType.CLIENT_PARAMS: messages.ClientParams.decode_untrusted,
    MessageType.CLIENT_CREDENTIAL: messages.ClientCredential.decode_untrusted,
    MessageType.CLIENT_VERIFY: messages.ClientVerify.decode_untrusted,
    MessageType.CLIENT_FINISHED: messages.decode_finished_untrusted,
    MessageType.REKEY_INIT: messages.RekeyShare.decode_untrusted,
    MessageType.REKEY_RESPONSE: messages.RekeyShare.decode_untrusted,
    MessageType.REKEY_VERIFY: messages.RekeyVerify.decode_untrusted,
    MessageType.NEW_TICKET: messages.NewTicket.decode_untrusted,
    MessageType.REKEY_REQUEST: messages.check_rekey_request_untrusted,
}


def _encoded(kind: MessageType, decoded: Any) -> bytes | None:
    """The message of a decoded value; None for those that our side never sends."""
    match decoded:
        case bytes():
            return messages.encode_finished(kind, decoded)
        case messages.RekeyShare():
            return decoded.encode(kind)
        case None:
            return messages.encode_rekey_request()
        case _:
            encode = getattr(decoded, "encode", None)
            return encode() if encode else None


def fuzz_messages(data: bytes) -> None:
    """Every handshake message: the first byte says which, the rest is its body."""
    kind = MessageType(1 + data[0] % len(MessageType)) if data else MessageType.CLIENT_HELLO
    body = data[1:]
    message = kind.to_bytes(1) + len(body).to_bytes(3) + body
    try:
        decoded = _MESSAGES[kind](message)
    except WireError as error:
        allowed(error)
        return
    again = _encoded(kind, decoded)
    skipped = any(tag >= 0x80 for tag, _ in decode_tlvs(body)) and kind is not MessageType.CLIENT_HELLO
    if again is not None and not skipped:
        assert again == message, "another spelling of the same message"
    if again is not None and kind is not MessageType.REKEY_REQUEST:
        assert _MESSAGES[kind](again) == decoded
    repr(decoded)


def _frames(data: bytes) -> None:
    """Inside a sealed frame: type, payload and padding, then the syntax of that type."""
    split: Any = refused(frames.split_plaintext_untrusted, data)
    if split is None:
        return
    number, payload = split
    assert data.startswith(payload + bytes([number]))
    assert not any(data[len(payload) + 1 :])
    for from_client in (False, True):
        for data_session in (False, True):
            with suppress(WireError):
                kind = frames.allowed_untrusted(number, len(data), from_client=from_client, data_session=data_session)
                assert kind is None or kind == number
    _check_payload(number, payload)
    is_json_object(data)
    for padding in (frames.PADDING_NONE, frames.PADDING_BUCKETS):
        encoded = frames.encode_plaintext(number, payload, padding, MAX_RECORD_BYTES)
        assert frames.split_plaintext_untrusted(encoded) == split


def _check_payload(number: int, payload: bytes) -> None:  # noqa: C901  a case for each type
    """Decode the payload of a known type, and hold what comes out to the type's own limits."""
    match number:
        case FrameType.AUDIO:
            audio: Any = refused(frames.decode_audio_untrusted, payload)
            if audio is not None:
                flags, timestamp, codec_bytes = audio
                assert frames.encode_audio(codec_bytes, flags, timestamp) == payload
        case FrameType.SWITCH:
            epoch: Any = refused(frames.decode_switch_untrusted, payload)
            assert epoch is None or epoch.to_bytes(4) == payload
        case FrameType.DTMF:
            key: Any = refused(frames.decode_dtmf_untrusted, payload)
            assert key is None or (key[0] <= 15 and key[0].to_bytes(1) + key[1].to_bytes(2) == payload)
        case FrameType.PING | FrameType.PONG:
            assert refused(frames.decode_ping_untrusted, payload) in {None, payload}
        case FrameType.CLOSE:
            code: Any = refused(frames.decode_close_untrusted, payload)
            assert code is None or code.to_bytes(2) == payload
        case FrameType.JSON:
            assert refused(frames.decode_json_untrusted, payload) is None or len(payload) <= MAX_JSON_BYTES
        case FrameType.MARK:
            name: Any = refused(frames.decode_mark_untrusted, payload)
            assert name is None or (name.encode() == payload and len(payload) <= MAX_MARK_BYTES)
        case FrameType.CLEAR:
            refused(frames.decode_clear_untrusted, payload)
        case FrameType.MUTE:
            muted: Any = refused(frames.decode_mute_untrusted, payload)
            assert muted is None or bytes([muted]) == payload
        case FrameType.DATA:
            refused(frames.decode_data_untrusted, payload)
        case _:
            pass


def fuzz_certificate(data: bytes) -> None:
    """A voice certificate: decoded from any bytes, and a good one with changes held against the anchors."""
    choices = Choices(data)
    with toy_world():
        encoded = _changed_certificate(choices) if choices.flag() else choices.rest()
        try:
            certificate = decode_certificate_untrusted(encoded)
        except WireError as error:
            allowed(error, {Code.BAD_RECORD})
            return
        fields = certificate.fields
        with suppress(UnicodeError):
            assert fields.signed_bytes() == certificate.signed_bytes
        try:
            verify_certificate(certificate, anchors(), choices.pick((HOST, "::1", "a.b", "")), WALL)
        except CertificateRefused:
            return
        issued = (toy_certificate(*names) for names in ISSUED)
        assert certificate.signed_bytes in {decode_certificate_untrusted(each).signed_bytes for each in issued}, (
            "forged"
        )


def _changed_certificate(choices: Choices) -> bytes:
    """A good certificate in which some TLVs are replaced, left out, or have some bytes changed."""
    fields = dict(decode_tlvs(toy_certificate()))
    while choices.are_left:
        tag = 1 + choices.below(10)
        match choices.below(4):
            case 0:
                fields.pop(tag, None)
            case 1:
                fields[tag] = choices.piece()
            case 2:
                value = fields.get(tag, b"")
                fields[tag] = value[: choices.number(2)] + choices.piece()
            case _:
                value = bytearray(fields.get(tag) or b"\0")
                value[choices.number(2) % len(value)] ^= choices.byte()
                fields[tag] = bytes(value)
    return encode_tlvs(sorted(fields.items()))
