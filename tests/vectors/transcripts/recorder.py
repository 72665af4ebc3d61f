"""Two sessions that are driven by hand and written down as they go; what `record` makes transcripts with."""

from typing import Any

import msgspec

from sottovoce.primitives import DEFAULT_SUITES, SystemKem
from sottovoce.session import (
    ClientTicket,
    CredentialShown,
    Event,
    Identity,
    SignatureWanted,
    TicketReceived,
    format_anchor_file,
)
from sottovoce.session.config import Carriage
from sottovoce.wire import Codec
from tests.session.dialogue import CARRIAGE, Box, CountingEntropy
from tests.session.keys import WALL, anchor_keys, anchor_of, certificate, prove, serving_keys
from tests.session.tapes import Json, plain
from tests.session.transcripts import FORMAT, Stage

EPOCH = 60


class Recorder:
    """Two sessions that are driven by hand, and written down as they go."""

    def __init__(  # noqa: PLR0913  what a session is made of
        self,
        about: str,
        *,
        client: Json | None = None,
        server: Json | None = None,
        carriage: Carriage = CARRIAGE,
        credential: Json | None = None,
        signer: Any = None,
        verdict: Any = Identity(""),  # noqa: B008  frozen
        tickets: Box | None = None,
        ticket: ClientTicket | None = None,
        now: float = 0.0,
        wall: float = WALL,
        served_carriage: Carriage | None = None,
    ) -> None:
        nothing = {"kind": 0, "token": None, "public_key": None, "certificate_sha256": None}
        self.script: Json = {
            "format": FORMAT,
            "about": about,
            "now": now,
            "wall": wall,
            "client": {
                "anchors": format_anchor_file((anchor_of(anchor_keys()),)).decode(),
                "carriage": plain(carriage),
                "config": plain_config(_CLIENT | (client or {})),
                "credential": nothing | (credential or {}),
                "ticket": plain(ticket),
            },
            "server": {
                "carriage": plain(served_carriage or carriage),
                "certificate": plain(certificate()),
                "config": plain_config(_SERVER | (server or {})),
                "verdict": plain(verdict),
                "has_tickets": tickets is not None,
            },
            "tapes": {},
            "steps": [],
        }
        entropy = {"client_entropy": CountingEntropy(b"client " + about.encode())}
        entropy["server_entropy"] = CountingEntropy(b"server " + about.encode())
        self.stage = Stage(self.script, {"kem": SystemKem(), "tickets": tickets, "signer": signer} | entropy)
        self.now = now
        self.keys = serving_keys()
        self.late = Identity("late", kind=1, credential="token:late")
        self.tickets: list[ClientTicket] = []

    def do(self, who: str, verb: str, **given: Any) -> Any:
        """One step, written down with what came of it."""
        step = {"at": self.now, "who": who, "do": verb} | given
        came = self.stage.perform(step)
        self.script["steps"].append(step | {"gives": self.stage.note(came)})
        if isinstance(came, list):
            self._answer(came)
        return came

    def _answer(self, came: list[Any]) -> None:
        """What a shell does with events: signing, judging."""
        events: list[Event] = [event for event in came if isinstance(event, msgspec.Struct)]  # type: ignore[misc]
        for event in events:
            match event:
                case SignatureWanted(kind, anchor_id):
                    leaf = event.leaf_under(self.stage.serving.under(anchor_id))
                    proof = plain(prove(self.keys, kind, leaf, [b"\x01" * 48, b"\x02" * 48]))
                    self.do("server", "provide_proof", kind=int(kind), leaf=plain(leaf), proof=proof)
                case CredentialShown():
                    self.do("server", "provide_verdict", verdict=plain(self.late))
                    self.do("server", "events")
                case TicketReceived(ticket):
                    self.tickets.append(ticket)
                case _:
                    pass

    def carry(self) -> "Recorder":
        """Carry records until nobody has any."""
        while True:
            upward = self.do("client", "to_send")
            for record in upward:
                self.do("server", "receive", record=plain(record))
            downward = self.do("server", "to_send")
            for record in downward:
                self.do("client", "receive", record=plain(record))
            if not upward and not downward:
                return self

    def at(self, now: float) -> "Recorder":
        """Let the clock run, both do what is due, and carry what they say."""
        self.now = now
        for who in ("server", "client"):
            self.do(who, "on_deadline")
        return self.carry()

    def step(self) -> "Recorder":
        """A root step at the moment the client has chosen."""
        while True:
            epoch, due = self.stage.client.epoch, self.stage.client.next_deadline()
            assert due is not None
            self.at(due)
            if self.stage.client.epoch > epoch:
                return self

    def say(self, who: str, codec_bytes: bytes, *, flags: int = 0, timestamp: int | None = None) -> None:
        """One frame of audio, which arrives."""
        given = {"codec_bytes": plain(codec_bytes), "flags": flags, "timestamp": timestamp}
        record = self.do(who, "seal_audio", **given)
        self.do("server" if who == "client" else "client", "receive", record=plain(record))

    def talk(self, frames: int = 2, length: int = 160) -> "Recorder":
        """Some frames each way."""
        for number in range(frames):
            for who in ("client", "server"):
                self.say(who, bytes([number & 0xFF]) * length)
        return self

    def send(self, who: str, what: str, *arguments: Any, **options: Any) -> None:
        """A control frame, which arrives."""
        given = [{"bytes": plain(each)} if isinstance(each, bytes) else each for each in arguments]
        assert self.do(who, "send", what=what, arguments=given, options=options)
        self.carry()

    def end(self, who: str = "client", code: int = 1000) -> Json:
        """Hang up."""
        self.do(who, "close", code=code)
        self.carry()
        for side in ("client", "server"):
            self.do(side, "events")
        return self.script


_CLIENT: Json = {
    "suites": DEFAULT_SUITES, "send_codec": Codec.PCM16_16K, "receive_codec": Codec.PCM16_16K,
    "frame_milliseconds": 20, "metadata": None,
}  # fmt: skip
_SERVER: Json = {
    "suites": DEFAULT_SUITES, "epoch_seconds": EPOCH, "messages_per_key": 100, "padding": 1, "reauthenticate_every": 1,
    "codecs": tuple(codec for codec in Codec if codec is not Codec.NONE), "credential_kinds": (0, 1),
    "require_binding": True,
}  # fmt: skip


def plain_config(config: Json) -> Json:
    return {name: plain(value) for name, value in config.items()}
