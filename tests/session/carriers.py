"""Two ends, or one of ours and a foreign peer, over two carriers: a control stream in order, and datagrams."""

import random
from collections.abc import Callable
from typing import Any

import msgspec

from sottovoce.session.config import ServerConfig
from sottovoce.session.events import EpochStarted, Event, SignatureWanted
from sottovoce.session.session import Session
from tests.session.dialogue import CARRIAGE, Credentials, Pair, client_config, give_proof, make_client, make_server
from tests.session.foreign import ForeignClient, ForeignServer, Peer
from tests.session.foreign_bytes import HANDSHAKE, SWITCH, Chain, u
from tests.session.keys import serving_keys
from tests.session.meeting import AtClient, AtServer, Meeting

WEBTRANSPORT = msgspec.structs.replace(CARRIAGE, binding_type=2, binding=b"\xb2" * 32, has_datagrams=True)


def two_carriers(client: dict[str, Any] | None = None, **server: Any) -> Pair:
    """A pair of our machines that has finished its handshake on the control stream."""
    return Pair(
        make_client(client_config(**(client or {})), WEBTRANSPORT), make_server(ServerConfig(**server), WEBTRANSPORT)
    ).run()


def sealed(session: Session, codec_bytes: bytes, now: float) -> bytes:
    """One audio frame in a datagram."""
    datagram = session.seal_datagram(codec_bytes, now)
    assert datagram
    return datagram


def control_chain(peer: Peer, direction: str) -> Chain:
    """The control stream's chain of the peer's epoch, from the reference of the key schedule."""
    base = peer.log[f"ctl_{direction}[{peer.epoch}]"]
    return Chain(base, peer.epoch, peer.suite, int.from_bytes(peer.params[3]))


class _Datagrams(Meeting):
    """What both roles have beside the control stream."""

    lossy_out: Chain
    lossy_into: Chain

    def throw(self, datagram: bytes) -> bytes | None:
        """Hand a datagram to our machine; gives its audio."""
        audio = self.ours.open_datagram(datagram, self.now)
        self.events += self.ours.events()
        return audio

    def throw_frame(self, frame_type: int, payload: bytes = b"") -> bytes | None:
        """Seal a frame as the next datagram and throw it."""
        return self.throw(self.lossy_out.seal(payload + u(frame_type, 1)))


class ServerOverTwo(AtServer, _Datagrams):
    """Our server and a foreign client."""

    def __init__(self, **config: Any) -> None:
        Meeting.__init__(self)
        self.credentials = Credentials()
        self.ours = self.server = make_server(ServerConfig(**config), WEBTRANSPORT)
        self.peer = ForeignClient(carriage=WEBTRANSPORT)
        self.keys = serving_keys()
        self.until_flight()
        self.take(self.peer.flight())
        self.lossy_out, self.lossy_into = self.peer.up, self.peer.down
        self.out, self.into = control_chain(self.peer, "c2s"), control_chain(self.peer, "s2c")

    def next_into(self) -> Chain:
        return control_chain(self.peer, "s2c")

    def switch(self) -> list[Event]:
        events = self.say(SWITCH, u(self.peer.epoch, 4))
        self.out = control_chain(self.peer, "c2s")
        return events


class ClientOverTwo(AtClient, _Datagrams):
    """Our client and a foreign server."""

    def __init__(self, **server: Any) -> None:
        Meeting.__init__(self)
        self.ours = self.client = make_client(client_config(), WEBTRANSPORT)
        self.peer = ForeignServer(carriage=WEBTRANSPORT, **server)
        self.peer.take_hello(self.client.to_send()[0])
        self.take(self.peer.hello())
        self.take(self.peer.flight())
        (flight,) = self.client.to_send()
        self.peer.client_flight(flight)
        self.lossy_out, self.lossy_into = self.peer.down, self.peer.up
        self.out, self.into = control_chain(self.peer, "s2c"), control_chain(self.peer, "c2s")

    def next_into(self) -> Chain:
        return control_chain(self.peer, "c2s")

    def init(self) -> bytes:
        """Let the client begin its root step; before that a kept key may have to go."""
        while self.client._step is None:
            due = self.client.next_deadline()
            assert due is not None
            self.at(due)
        ((frame_type, payload),) = self.hear()
        assert frame_type == HANDSHAKE
        return payload

    def switch(self) -> list[Event]:
        events = self.say(SWITCH, u(self.peer.epoch, 4))
        self.out = control_chain(self.peer, "s2c")
        return events


def answered(meeting: ServerOverTwo | ClientOverTwo) -> None:
    """A root step up to the point where our machine has the receive keys of the new epoch."""
    if isinstance(meeting, ServerOverTwo):
        meeting.answered()
    else:
        meeting.answer()
        meeting.hear()


def new_datagrams(meeting: ServerOverTwo | ClientOverTwo) -> Chain:
    """The peer's chain of datagrams under its newest epoch."""
    return meeting.peer.chain("c2s" if isinstance(meeting, ServerOverTwo) else "s2c")


class Lane:
    """One direction of the network: the control stream with a delay, datagrams with every vice."""

    def __init__(self, sender: Session, receiver: Session, chance: random.Random, take: Callable[..., None]) -> None:
        self.sender = sender
        self.receiver = receiver
        self.chance = chance
        self.take = take
        self.on_stream: list[tuple[float, bytes]] = []
        self.in_the_air: list[bytes] = []
        self.sent: list[bytes] = []
        self.arrived: list[bytes] = []
        self.heard: list[bytes] = []
        self.again: list[bytes] = []
        self.repeated = 0

    def speak(self, codec_bytes: bytes, now: float) -> None:
        """Seal a frame; its datagram waits in the air, whatever record it makes beside it goes on the stream."""
        datagram = self.sender.seal_datagram(codec_bytes, now)
        if datagram:
            self.sent.append(codec_bytes)
            self.in_the_air.append(datagram)

    def carry_stream(self, now: float, delay: float) -> None:
        """Write what the sender has, deliver what has been on its way for long enough."""
        self.on_stream += [(now + delay, record) for record in self.sender.to_send()]
        while self.on_stream and self.on_stream[0][0] <= now:
            self.take(self.receiver.receive(self.on_stream.pop(0)[1], now))

    def land(self, now: float, *, loss: float, twice: float) -> None:
        """Lose, repeat and shuffle what is in the air, and hand over the rest; some of it again much later."""
        block = [datagram for datagram in self.in_the_air if self.chance.random() >= loss]
        unique = set(block)
        block += [datagram for datagram in block if self.chance.random() < twice]
        self.again += [datagram for datagram in unique if self.chance.random() < twice / 4]
        if len(self.again) > 40:
            block.append(self.again.pop(0))
        self.chance.shuffle(block)
        self.repeated += len(block) - len(unique)
        self.in_the_air = []
        for datagram in block:
            audio = self.receiver.open_datagram(datagram, now)
            self.take(self.receiver.events())
            if audio is not None:
                self.heard.append(audio[1:])
        self.arrived += sorted(unique)


class Network:
    """Two of our machines, a clock, and a lane for each direction."""

    def __init__(self, seed: int, **config: Any) -> None:
        self.pair = two_carriers(**config)
        self.chance = random.Random(seed)  # noqa: S311  a network's luck
        self.events: list[Event] = []
        self.up = Lane(self.pair.client, self.pair.server, self.chance, self._take)
        self.down = Lane(self.pair.server, self.pair.client, self.chance, self._take)

    def _take(self, events: list[Event]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, SignatureWanted):
                give_proof(self.pair.server, event, serving_keys(), self.now)

    def turn(self, now: float, delay: float) -> None:
        """Do what is due, and carry the control stream."""
        self.now = now
        for lane in (self.up, self.down):
            deadline = lane.sender.next_deadline()
            if deadline is not None and deadline <= now:
                self._take(lane.sender.on_deadline(now))
        for lane in (self.up, self.down):
            lane.carry_stream(now, delay)

    @property
    def epochs_started(self) -> int:
        """Root steps that both ends have finished."""
        return sum(isinstance(event, EpochStarted) for event in self.events) // 2
