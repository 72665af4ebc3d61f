"""A connection of the edge: bytes of a client's WebSocket in, the whole call behind it, in virtual time.

TLS is left out, since its bytes are OpenSSL's to fuzz: the connection is given a stream that is in the clear.  The
input changes what a well-behaved client once said; what the backend then hears of audio is a beginning of what that
client had sealed, and the connection ends.
"""

from functools import cache
from typing import Any
from unittest.mock import patch

import msgspec
import trio
import trio.testing

from sottovoce.edge import connection, serve_connection
from sottovoce.plane import flow
from sottovoce.session import (
    Carriage,
    ClientSession,
    Dependencies,
    ServedCertificate,
    ServerDependencies,
    SignatureWanted,
    Signed,
)
from sottovoce.transport.lines.streams import StreamLine
from sottovoce.wire import Code
from tests.edge import proxy
from tests.fuzz.choices import Choices
from tests.fuzz.toy import ToyKem, toy_anchor, toy_certificate, toy_serving, toy_world
from tests.session.dialogue import CountingEntropy, Serving, client_config
from tests.session.keys import WALL, anchor_of, prove
from tests.transport.websocket.dialogue import BINARY, CLOSE, PING, frame, request

_BINDING = b"\xb1" * 32
_PAUSE_SECONDS = 0.05
_MAX_ANSWER = 400_000
_HANDSHAKE_SECONDS = 10.0
_VOICES = [bytes([number]) * 160 for number in range(1, 7)]


class _Core:
    """What a call asks of TLS."""

    group = "X25519MLKEM768"

    def peer_certificate_der(self) -> bytes | None:
        return None

    def exporter(self) -> bytes:
        return _BINDING


class PlainStream:
    """A TlsStream without TLS: gives pieces as time goes by, keeps what is sent."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.core = _Core()
        self.sent = bytearray()
        self.is_closed = False
        self._pieces = pieces
        self._held = b""

    def more(self) -> list[bytes]:
        """Further pieces, once there are none: a client that waits for answers makes them."""
        return []

    async def do_handshake(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self._held:
            await trio.sleep(_PAUSE_SECONDS)
            if not self._pieces:
                self._pieces += self.more()
            if not self._pieces:
                return b""
            self._held = self._pieces.pop(0)
        size = len(self._held) if max_bytes is None else max_bytes
        given, self._held = self._held[:size], self._held[size:]
        return given

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.is_closed:
            raise trio.ClosedResourceError
        self.sent += data
        assert len(self.sent) <= _MAX_ANSWER, "more was answered than a call can say"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.is_closed = True


class Signer:
    """Signs at once, by a hash."""

    async def sign(self, wanted: SignatureWanted, _source: str, _deadline: float) -> Signed:
        await trio.lowlevel.checkpoint()
        certificate = ServedCertificate.of(toy_certificate("localhost"))
        return Signed(certificate, prove(toy_serving(), wanted.kind, wanted.leaf_under(certificate)))


class Served:
    """What became of one connection."""

    def __init__(self, stream: PlainStream) -> None:
        self.stream = stream
        made = _proxy()
        self.agreements: list[int | None] = []
        self.log, self.hand = proxy.Log(), proxy.RecordingRoute()
        parts = ServerDependencies(
            ToyKem(), CountingEntropy(b"edge"), Serving(toy_certificate("localhost")), made.credentials
        )
        echo = made.services.routes["echo"]
        hand = msgspec.structs.replace(made.services.routes["hand"], route=self.hand)
        self.services = msgspec.structs.replace(
            made.services,
            parts=parts,
            signer=Signer(),
            journal=proxy.Journal(self.log, self.log),
            routes={"echo": echo, "hand": hand},
        )

    def run(self) -> "Served":
        """Serve it to its end, in virtual time."""
        with (
            patch.object(connection, "TlsStream", lambda *_: self.stream),
            patch.object(flow, "TlsLine", _PlainLine),
        ):
            trio.run(self._serve, clock=trio.testing.MockClock(autojump_threshold=0))
        return self

    async def _serve(self) -> None:
        with trio.fail_after(4_000):
            stream: Any = self.stream
            await serve_connection(stream, self.services, proxy.CLIENT, _HANDSHAKE_SECONDS, self)

    def came(self, cut_off: object) -> None:
        """See `Watch`."""

    def ended(self) -> None:
        """See `Watch`."""

    def started(self, call: object) -> None:
        """The voice handshake begins."""

    def agreed(self, code: int | None) -> None:
        self.agreements.append(code)

    @property
    def voices(self) -> list[bytes]:
        return [told[1][1:] for leg in self.hand.legs for told in leg.told if told[0] == "audio"]  # type: ignore[index]


class _PlainLine(StreamLine):
    """In the place of a line of TLS."""

    failure = None

    def rest(self) -> None:
        """There are no ciphers."""


@cache
def _proxy() -> proxy.Proxy:
    return proxy.Proxy()


class _HonestClient(PlainStream):
    """Says each of its sentences when the answer to the one before has come; keeps them as pieces."""

    def __init__(self) -> None:
        asked = request("GET /v1/voice/hand HTTP/1.1", Host=proxy.AUTHORITY, Sec_WebSocket_Protocol="sottovoce.v1")
        super().__init__([asked])
        self.said = list(self._pieces)
        carriage = Carriage(1, _BINDING, proxy.AUTHORITY.encode(), b"/v1/voice/hand")
        config = client_config(anchors=(anchor_of(toy_anchor(), ("localhost",)),))
        self.session = ClientSession(config, carriage, Dependencies(ToyKem(), CountingEntropy(b"peer")), 0.0, WALL)
        self._read = 0
        self._turns = 0

    def more(self) -> list[bytes]:
        if not self._read:
            assert self.sent.startswith(b"HTTP/1.1 101")
            self._read = self.sent.index(b"\r\n\r\n") + 4
        now = trio.current_time()
        self._hear(now)
        self._turns += 1
        records = self.session.to_send()
        if not records and self.session.is_open:
            records = self._speak(now)
        pieces = [frame(BINARY, record, masked=True) for record in records]
        if self.session.has_ended:
            pieces.append(frame(CLOSE, (1000).to_bytes(2), masked=True))
        self.said += pieces
        return pieces if self._turns < 40 else []

    def _hear(self, now: float) -> None:
        """Read the server's frames, which are not masked."""
        while len(self.sent) - self._read >= 2:
            start = self._read + 2
            size = self.sent[start - 1]
            if size == 126:
                size = int.from_bytes(self.sent[start : start + 2])
                start += 2
            if self.sent[self._read] & 15 == BINARY:
                self.session.receive(bytes(self.sent[start : start + size]), now)
            self._read = start + size

    def _speak(self, now: float) -> list[bytes]:
        if self._turns > 8:
            self.session.close(1000, now)
            return self.session.to_send()
        if self._turns == 5:
            self.session.send_json(b'{"a":1}', now)
            self.session.send_dtmf(5, 100, now)
            return self.session.to_send()
        spoken = [record for voice in _VOICES if (record := self.session.seal_audio(voice, now))]
        _VOICES_SAID.extend(_VOICES)
        return spoken


_VOICES_SAID: list[bytes] = []


@cache
def honest_pieces() -> tuple[bytes, ...]:
    """What an honest client says in a short call, one piece for each WebSocket frame.  In a toy world."""
    client = _HonestClient()
    served = Served(client).run()
    assert served.voices, served.log.lines
    assert served.voices == _VOICES_SAID
    assert served.hand.legs[0].end is not None
    assert not served.hand.legs[0].end.truncated
    return tuple(client.said)


def _changed(choices: Choices) -> list[bytes]:  # noqa: C901  a case for each change
    """The honest pieces after some changes."""
    pieces = list(honest_pieces())
    while choices.are_left:
        index = choices.below(len(pieces))
        piece = pieces[index]
        where = choices.number(2) % max(len(piece), 1)
        match choices.below(10):
            case 0:
                del pieces[index:]
            case 1:
                del pieces[index]
            case 2:
                pieces.insert(index, pieces[choices.below(len(pieces))])
            case 3 if piece:
                pieces[index] = piece[:where] + bytes([piece[where] ^ choices.byte()]) + piece[where + 1 :]
            case 4:
                pieces[index : index + 1] = [piece[:where], piece[where:]]
            case 5:
                pieces[index] = piece[:where] + choices.piece() + piece[where:]
            case 6:
                pieces[index] = piece[:where] + choices.piece()
            case 7:
                fin, opcode = choices.flag(), choices.pick((0, 1, BINARY, CLOSE, PING, 10, 3))
                pieces.insert(index, frame(opcode, choices.piece(), masked=choices.byte() != 0xFF, fin=fin))
            case 8:
                pieces[index : index + 2] = [b"".join(pieces[index : index + 2])]
            case _:
                pieces.insert(index, choices.piece())
        if not pieces:
            return [b""]
    return pieces


def fuzz_edge(data: bytes) -> None:
    """One connection, from its request to its end."""
    with toy_world():
        stream = PlainStream([piece for piece in _changed(Choices(data)) if piece])
        served = Served(stream).run()
    assert stream.is_closed
    assert served.voices == _VOICES_SAID[: len(served.voices)], "the backend heard what the client did not say"
    assert len(served.hand.legs) <= 1
    assert len(served.agreements) <= 1, "a handshake is over once"
    for leg in served.hand.legs:
        assert leg.end is not None, "the backend was not told of the end"
    for _, fields in served.log.lines:
        assert fields.get("code") != Code.INTERNAL, served.log.lines
