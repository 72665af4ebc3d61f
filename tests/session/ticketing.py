"""Tickets on the way between our machines and foreign peers: how one is come by, and how it is used."""

from typing import Any

import msgspec

from sottovoce.primitives import Secret, Suite
from sottovoce.session import ClientTicket, Established, TicketReceived
from tests.session.dialogue import CARRIAGE, Box
from tests.session.foreign_bytes import HANDSHAKE, message, tlvs_of, u
from tests.session.keys import WALL, certificate
from tests.session.meeting import AtClient, AtServer, Meeting

PSK = b"\x5a" * 48
TICKET = b"a ticket"


def established_of(meeting: Meeting) -> Established:
    (found,) = [event for event in meeting.events if isinstance(event, Established)]
    return found


def heard_ticket(heard: list[tuple[int, bytes]]) -> tuple[bytes, int]:
    """(ticket, lifetime) of the one NewTicket among the frames heard."""
    (found,) = [tlvs_of(payload[4:]) for kind, payload in heard if kind == HANDSHAKE and payload[0] == 15]
    return found[2], int.from_bytes(found[1])


def earn(box: Box, **options: Any) -> tuple[bytes, bytes]:
    """(ticket, psk) that our server gives to a foreign client after a full handshake."""
    meeting = AtServer(tickets=box, **options)
    ticket, _ = heard_ticket(meeting.hear())
    return ticket, meeting.peer.log["res[1]"]


def come_again(box: Box | None, ticket: tuple[bytes, bytes], **options: Any) -> AtServer:
    """The foreign client once more, with a ticket; up to the end of the handshake."""
    client = {"ticket": ticket, "carriage": options.get("carriage", CARRIAGE)} | options.pop("client", {})
    return AtServer(tickets=box, client=client, **options)


def was_resumed(meeting: AtServer) -> bool:
    """Whether a handshake, which did succeed, went without a signature."""
    resumed = established_of(meeting).is_resumed
    assert resumed is (not meeting.wanted)
    assert resumed is (meeting.peer.psk is not None)
    return resumed


def kept_ticket(**changes: Any) -> ClientTicket:
    """A ticket as a client keeps it, from a session like the tests' own."""
    ticket = ClientTicket(
        ticket=TICKET,
        psk=Secret("psk", PSK),
        suite=Suite.X25519MLKEM768_AES256GCM,
        binding_type=CARRIAGE.binding_type,
        authority=CARRIAGE.authority.lower(),
        path=CARRIAGE.path,
        certificate=certificate(),
        expires_at=3_600.0,
        verified_at=0.0,
        reauthenticate_every=1,
    )
    return msgspec.structs.replace(ticket, **changes)


def offering(ticket: ClientTicket, *, server: dict[str, Any] | None = None, **config: Any) -> AtClient:
    """Our client with a ticket, and a foreign server that accepts it; up to the end of the handshake."""
    return AtClient(ticket=ticket, server={"psk": PSK} | (server or {}), **config)


def say_ticket(meeting: AtClient, ticket: bytes = TICKET, lifetime: int = 3_600) -> None:
    meeting.say(HANDSHAKE, message(15, t1=u(lifetime, 4), t2=ticket))


def tickets_of(meeting: Meeting) -> list[ClientTicket]:
    return [event.ticket for event in meeting.events if isinstance(event, TicketReceived)]


def next_wall(seconds: float) -> float:
    return WALL + seconds
