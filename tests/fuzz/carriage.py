"""Targets for the carriage: both ends of the WebSocket with their HTTP heads, addresses, and what a backend says."""

import ipaddress
from contextlib import suppress
from typing import Any

from sottovoce.client.address import parse_address
from sottovoce.client.errors import CallMisconfigured
from sottovoce.relay.errors import BackendMisbehaved
from sottovoce.relay.link import Playout
from sottovoce.relay.link.address import parse_url
from sottovoce.relay.raw_messages import (
    MAX_OPUS_BYTES,
    JsonText,
    MarkText,
    audio_shape,
    decode_audio_untrusted,
    decode_data_untrusted,
    decode_text_untrusted,
    encode_audio,
    encode_json,
    encode_mark,
)
from sottovoce.relay.twilio import messages as twilio
from sottovoce.session import host_of, matches_any
from sottovoce.transport import (
    ClientWebSocket,
    PeerClosed,
    ServerWebSocket,
    TextMessage,
    UpgradeAccepted,
    UpgradeRequest,
    WsFailed,
)
from sottovoce.transport.errors import ProxyHeaderInvalid
from sottovoce.transport.limits import UPGRADE_BYTES
from sottovoce.transport.proxy_protocol import MAX_BLOCK_BYTES, ProxyHeader
from sottovoce.wire import MAX_DATA_BYTES, MAX_JSON_BYTES, MAX_MARK_BYTES, Codec, frames, is_json_object
from tests.fuzz.choices import Choices
from tests.fuzz.files import one_line

_LIMIT = 2_000
_ANSWERS = UPGRADE_BYTES + 8 * _LIMIT


def fuzz_websocket_server(data: bytes) -> None:
    """Bytes of a client: the request, and frames once it was accepted."""
    choices = Choices(data)
    cut, opened = 1 + choices.byte(), choices.flag()
    end: Any = ServerWebSocket(max_message_bytes=_LIMIT)
    if opened:
        end.receive(OPENING)
        end.accept("sottovoce.v1")
        assert end.to_send().startswith(b"HTTP/1.1 101")
    _feed(end, choices, cut)


OPENING = (
    b"GET /v1/voice/echo HTTP/1.1\r\nHost: voice.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: sottovoce.v1\r\n\r\n"
)


def fuzz_websocket_client(data: bytes) -> None:
    """Bytes of a server: the response, and frames after it."""
    choices = Choices(data)
    cut, opened = 1 + choices.byte(), choices.flag()
    end: Any = ClientWebSocket(
        "voice.example.com", "/v1/voice/echo", max_message_bytes=_LIMIT, subprotocol="sottovoce.v1"
    )
    end.request()
    request = end.to_send()
    if opened:
        server = ServerWebSocket(max_message_bytes=_LIMIT)
        server.receive(request)
        server.accept("sottovoce.v1")
        assert end.receive(server.to_send()) == [UpgradeAccepted("sottovoce.v1")]
    _feed(end, choices, cut)


def _feed(end: Any, choices: Choices, cut: int) -> None:
    """Hand over the rest in pieces; then the network ends.  What is kept and what is answered stay within limits."""
    rest = choices.rest()
    sent = 0
    for start in range(0, len(rest), cut):
        was_over = end.is_over
        arrived = end.receive(rest[start : start + cut])
        assert not (was_over and arrived), "it was over"
        for event in arrived:
            _check_event(event)
            if isinstance(event, UpgradeRequest) and not end.is_over:
                assert end.to_send() == b""
                end.accept("sottovoce.v1" if "sottovoce.v1" in event.subprotocols else None)
        sent += len(end.to_send())
        assert sent <= _ANSWERS + 2 * len(rest), "more was answered than was asked"
        assert len(end._message or b"") <= _LIMIT
        if end.is_over:
            break
    final = end.receive_eof()
    assert all(isinstance(event, WsFailed) for event in final)
    assert len(final) <= 1
    assert end.is_over
    assert not end.is_open
    assert end.receive_eof() == []
    assert end.receive(b"more") == []


def _check_event(event: Any) -> None:
    match event:
        case bytes():
            assert len(event) <= _LIMIT
        case TextMessage(text):
            assert len(text.encode()) <= _LIMIT
        case PeerClosed(code=code):
            assert 1000 <= code <= 4999
        case WsFailed(reason=reason):
            assert reason.isprintable(), reason
        case UpgradeRequest() as request:
            assert request.target.startswith(b"/")
            assert request.authority
            repr(request)
        case UpgradeAccepted():
            pass
        case _:
            raise AssertionError(event)


def fuzz_addresses(data: bytes) -> None:
    """URLs of calls and of backends, Host values, names in certificates, and the head of the PROXY protocol."""
    text = data.decode("latin-1")
    try:
        address = parse_address(text)
    except CallMisconfigured:
        pass
    else:
        assert address.authority.isascii()
        assert address.target.startswith("/v1/voice/")
        assert 0 < address.port < 65_536
        assert host_of(address.authority) == address.host
        ClientWebSocket(address.authority, address.target, max_message_bytes=_LIMIT)
        assert parse_address(f"wss://{address.authority}{address.target}") == address
    with suppress(ValueError):
        backend = parse_url(text)
        assert backend.is_loopback in {True, False}
        ClientWebSocket(backend.authority, backend.target, max_message_bytes=_LIMIT)
    _check_proxy_header(data)
    host = host_of(text)
    patterns = tuple(text.split(",", 3))
    if matches_any(host, patterns) and not any(pattern.startswith("*.") for pattern in patterns):
        assert any(pattern.lower() == host or _same_address(pattern, host) for pattern in patterns)


def _check_proxy_header(data: bytes) -> None:
    """Read a PROXY header as it would come: never a byte more than it has."""
    header, read = ProxyHeader(), 0
    try:
        while header.wanted_bytes:
            wanted = header.wanted_bytes
            assert 0 < wanted <= MAX_BLOCK_BYTES
            header.receive(data[read : read + wanted])
            read += wanted
    except ProxyHeaderInvalid as error:
        one_line(error)
        return
    assert read == 16 + int.from_bytes(data[14:16])
    assert header.source is None or ipaddress.ip_address(header.source.host)


def _same_address(first: str, second: str) -> bool:
    try:
        return ipaddress.ip_address(first) == ipaddress.ip_address(second)
    except ValueError:
        return False


def fuzz_backend(data: bytes) -> None:
    """Texts and binary messages of a backend that speaks `raw`, and texts of one that speaks Twilio's dialect."""
    choices = Choices(data)
    codec, milliseconds = choices.pick(list(Codec)), choices.pick((10, 20, 40, 60))
    header, data_session = choices.flag(), choices.flag()
    message = choices.rest()
    shape = audio_shape(codec, milliseconds)
    with suppress(BackendMisbehaved):
        codec_bytes, flags, timestamp = decode_audio_untrusted(message, shape, header=header)
        assert len(codec_bytes) <= (shape.max_bytes or MAX_OPUS_BYTES)
        payload = frames.encode_audio(codec_bytes, flags, timestamp)
        assert frames.decode_audio_untrusted(payload) == (flags, timestamp, codec_bytes)
        again = decode_audio_untrusted(encode_audio(payload, 0, header=header), shape, header=header)
        assert again == (codec_bytes, flags, timestamp)
    with suppress(BackendMisbehaved):
        assert len(decode_data_untrusted(message)) <= MAX_DATA_BYTES
    for text in (
        message.decode("utf-8", "replace"),
        message.decode("utf-8", "surrogatepass") if _sound(message) else "",
    ):
        _hear_a_bot(text, milliseconds)
        try:
            decoded = decode_text_untrusted(text, data_session=data_session)
        except BackendMisbehaved as error:
            one_line(error)
            continue
        match decoded:
            case MarkText(name):
                assert len(name.encode()) <= MAX_MARK_BYTES
                assert decode_text_untrusted(encode_mark(name)) == decoded
            case JsonText(value):
                assert len(value) <= MAX_JSON_BYTES
                assert is_json_object(bytes(value))
                assert decode_text_untrusted(encode_json(bytes(value))) == decoded
            case _:
                pass


def _hear_a_bot(text: str, milliseconds: int) -> None:
    """What a bot says is taken, ignored or refused; what is taken comes out as it went in."""
    try:
        decoded = twilio.decode_untrusted(text, "MZ" + "0" * 32)
    except BackendMisbehaved as error:
        one_line(error)
        return
    playout = Playout(milliseconds, 8000, bytes)
    match decoded:
        case twilio.MediaMessage(mulaw):
            playout.put_audio(mulaw, 0)
            assert b"".join(item for at in range(5) for item in playout.take(at) if isinstance(item, bytes)) == mulaw
        case twilio.MarkMessage(name):
            playout.put_mark(name)
            (alias,) = playout.take(0)
            assert isinstance(alias, str)
            assert len(alias.encode()) <= MAX_MARK_BYTES
            assert playout.played(alias) == [name]
        case _:
            pass


def _sound(message: bytes) -> bool:
    try:
        message.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
