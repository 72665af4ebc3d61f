"""Where each fuzz target begins: sound examples, made by the code that makes them in earnest."""

import io
import wave
from collections.abc import Iterator

import msgspec

from sottovoce.hsm import KeyKind, KeyState, PublishedKey, SealedSeed
from sottovoce.hsm.inventory import format_inventory
from sottovoce.hsm.messages import Failure, Reply, Request, Start, Started, encode_frame
from sottovoce.session import format_anchor_file
from sottovoce.settings import profile_text, reference_text
from sottovoce.wire import MAX_RECORD_BYTES, FrameType, MessageType, frames, records, sframe
from tests.audit.examples import make_lines
from tests.fuzz.carriage import OPENING
from tests.fuzz.choices import Choices
from tests.fuzz.parsers import ISSUED
from tests.fuzz.toy import anchors, toy_certificate, toy_world
from tests.session.foreign import ForeignClient, ForeignServer
from tests.session.foreign_bytes import message, u
from tests.transport.websocket import dialogue


def _handshake() -> list[bytes]:
    """The plain messages and some sealed ones of a handshake, as a foreign peer makes them."""
    with toy_world():
        client = ForeignClient(suites=(0x0001, 0x0101), metadata=b'{"a":[1,"\\u00e4"]}')
        server = ForeignServer(encoded=toy_certificate())
        hello = client.hello()
        server.take_hello(hello)
        answer = server.hello()
        client.server_hello(answer)
    return [
        hello[1:],
        answer[1:],
        server.server_params,
        message(3, t1=u(0x11ED, 2)),
        message(5, t1=toy_certificate()),
        message(6, t1=bytes(48), t2=b"\1", t3=u(0x0503, 2) + bytes(96), t4=u(0x0905, 2) + bytes(3309)),
        message(7, t1=bytes(48)),
        message(8, t1=b"\3", t2=b"\3", t3=b"\x14", t4=b"{}"),
        message(9, t1=b"\1", t2=b"token"),
        message(10, t1=u(0x0503, 2) + bytes(96)),
        message(11, t1=bytes(48)),
        message(12, t1=u(2, 4), t2=u(0x11EC, 2) + bytes(1216)),
        message(13, t1=u(2, 4), t2=u(0x11EC, 2) + bytes(1120)),
        message(14, t1=b"", t2=b"", t3=u(0x0503, 2) + bytes(96), t5=toy_certificate()),
        message(15, t1=u(60, 4), t2=b"a ticket"),
        message(16),
    ]


def _records() -> Iterator[bytes]:
    for made in _handshake():
        yield records.encode_plain(made)
        yield made
        yield made[4:]
    yield records.sealed_header(40) + bytes(40)
    for kid, counter in ((0, 0), (16, 7), (17, 8), (2**36 - 1, 65_535), (2**64 - 1, 2**64 - 1)):
        yield sframe.encode_header(kid, counter) + bytes(16)


def of_records_and_frames() -> Iterator[bytes]:
    yield from _records()
    yield from _frames()


def of_messages() -> Iterator[bytes]:
    for made in _handshake():
        yield bytes([made[0] - MessageType.CLIENT_HELLO]) + made[4:]


def _frames() -> Iterator[bytes]:
    payloads = {
        FrameType.AUDIO: b"\x30\0\0\1\2voice", FrameType.SWITCH: u(2, 4), FrameType.DTMF: b"\1\0\x64",
        FrameType.PING: bytes(8), FrameType.PONG: bytes(8), FrameType.CLOSE: u(4408, 2),
        FrameType.JSON: b'{"a":{"b":[1.5e3,null,"\\ud83d\\ude00"]}}', FrameType.MARK: "größe".encode(),
        FrameType.MUTE: b"\1", FrameType.DATA: b"data",
    }  # fmt: skip
    for kind in FrameType:
        yield frames.encode_plaintext(kind, payloads.get(kind, b""), frames.PADDING_NONE, MAX_RECORD_BYTES)
    yield b"[" * 300 + b"]" * 300
    yield b'{"a":' * 300 + b"1" + b"}" * 300 + b"\x08"


def of_certificates() -> Iterator[bytes]:
    yield from (b"\0" + toy_certificate(*names) for names in ISSUED)
    yield b"\1"
    yield from (b"\1" + bytes([tag - 1, kind, 0, 1, 2, 65, 66]) for tag in range(1, 10) for kind in range(4))


def of_json_files() -> Iterator[bytes]:
    yield format_anchor_file(anchors())
    yield SealedSeed(
        purpose="serving", serial=bytes(16), algorithm="mldsa65", nonce=bytes(12), sealed=bytes(48)
    ).to_file()
    key = PublishedKey(
        label="key/one", kind=KeyKind.ECDSA_P384, state=KeyState.USABLE, made_at=1_800_000_000, nodes={"a": bytes(120)}
    )
    yield format_inventory([key, msgspec.structs.replace(key, label="key/two", is_shared=True)])
    yield b'{"anchors":' + b"[" * 2_000
    yield b'{"format":' + b'{"a":' * 2_000
    yield from _token_frames()


def of_configurations() -> Iterator[bytes]:
    yield reference_text().encode()[:5_000]
    yield profile_text("development", 8443, ("localhost",)).encode()
    yield b'[routes.bot]\nadapter = "raw"\nurl = "ws://127.0.0.1:9000/x"\n\0voice.epoch_seconds=60\0routes."a.b".url=x'
    yield b"a = " + b"[" * 2_000
    yield b"[listener]\naddress = 1" + b"0" * 4_400
    yield b"[a." + b"b." * 1_000 + b"c]\n"


def of_binary_files() -> Iterator[bytes]:
    lines = make_lines()
    yield b"".join(lines)
    yield b"".join(lines)[:-7]
    yield b'{"index":0,"time":"","event":"","leaf":"","head":"","x":' + b"[" * 2_000 + b"]" * 2_000 + b"}\n"
    for rate, channels, size in ((16_000, 1, 2), (48_000, 2, 1)):
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as wav:
            wav.setnchannels(channels)
            wav.setsampwidth(size)
            wav.setframerate(rate)
            wav.writeframes(bytes(640))
        yield buffer.getvalue()


def _token_frames() -> Iterator[bytes]:
    structs: tuple[msgspec.Struct, ...] = (
        Started(7),
        Reply(1, failure=Failure("HsmUnavailable", "gone")),
        Request(1, "sign", msgspec.Raw(b"\x80")),
        Start("module", "token", "pin", create=False, files={"a": "b"}),
    )
    for index, struct in enumerate(structs):
        made = encode_frame(struct)
        yield bytes([index, len(made)]) + made


def of_addresses() -> Iterator[bytes]:
    yield b"wss://voice.example.com:8443/v1/voice/echo?x=1"
    yield b"wss://[2001:db8::1]/echo"
    yield b"ws://localhost:9000/path?query"
    yield b"[::1]:8443,*.example.com,192.0.2.1"
    head = b"\r\n\r\n\0\r\nQUIT\n"
    yield head + b"\x21\x11\0\x0c" + bytes(range(12))
    yield head + b"\x21\x21\0\x2b" + bytes(range(36)) + b"\x04\0\4tlvs"
    yield head + b"\x21\x11\0\x13" + bytes(12) + b"\x03\0\4\0\0\0\0"
    yield head + b"\x20\0\0\0"


def of_backend() -> Iterator[bytes]:
    for text in (
        b'{"type":"mark","name":"a"}', b'{"type":"dtmf","event":1,"duration_ms":100}', b'{"type":"clear"}',
        b'{"type":"json","value":{"a":1}}', b'{"type":"stop","reason":"done"}',
        b'{"type":"json","value":' + b"[" * 3_000,
        b'{"event":"media","streamSid":"MZ' + b"0" * 32 + b'","media":{"payload":"/37+"}}',
        b'{"event":"mark","streamSid":"MZ' + b"0" * 32 + b'","mark":{"name":"a"}}',
        b'{"event":"clear","streamSid":"MZ' + b"0" * 32 + b'"}', b'{"event":"other"}',
    ):  # fmt: skip
        yield bytes(4) + text
    yield bytes([3, 1, 1, 0]) + b"\x30\0\0\0\1\0\2" + bytes(640)


def of_websocket() -> Iterator[bytes]:
    yield b"\xff\0" + OPENING
    yield b"\xff\0" + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    yield b"\xff\0" + b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n"
    for masked in (True, False):
        parts = (
            (dialogue.BINARY, b"record"), (dialogue.TEXT, b"text"), (dialogue.PING, b"ping"),
            (dialogue.CLOSE, u(1000, 2) + b"bye"),
        )  # fmt: skip
        for opcode, payload in parts:
            yield b"\xff\1" + dialogue.frame(opcode, payload, masked=masked)
        yield b"\1\1" + b"".join(
            dialogue.frame(opcode, b"ab", masked=masked, fin=fin)
            for opcode, fin in ((dialogue.BINARY, False), (dialogue.PING, True), (dialogue.CONT, True))
        )


def of_programmes() -> Iterator[bytes]:
    """Programmes of a conversation have no grammar to learn: some lengths of some bytes."""
    yield b""
    yield bytes(64)
    yield bytes(range(256))
    for number in range(24):
        made = Choices(bytes((number * 73 + index * index * 29 + index * 31) & 0xFF for index in range(120)))
        yield bytes(number) + made.rest()


KINDS = (0, 1, 3, 4, 5, 12, 16, 20, 28, 32, 35)
"""Of an insider's conversation: with or without ticket, credential, late verdict, data instead of audio."""


def of_insiders() -> Iterator[bytes]:
    """Handshakes of every kind in which nothing is changed, and some talk behind them."""
    for kind in KINDS:
        for start in (bytes([kind]) + bytes(20), bytes(4) + bytes([kind]) + bytes(20)):
            yield from (start + bytes((action, number)) * 8 for number, action in enumerate(range(0, 240, 40)))
    yield from of_programmes()
