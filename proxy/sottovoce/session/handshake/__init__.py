"""The handshake of both roles, its transcript and the key schedule (protocol §3–§5)."""

from sottovoce.session.handshake.agreement import Agreement, ClientAgreement, ServerAgreement
from sottovoce.session.handshake.client import ClientHandshake
from sottovoce.session.handshake.resumption import TicketIssuer
from sottovoce.session.handshake.schedule import (
    EpochSecrets,
    HandshakeSecrets,
    epoch_secrets,
    finished_mac,
    first_root,
    handshake_secrets,
    next_root,
    next_transcript,
    open_flight_untrusted,
    seal_flight,
)
from sottovoce.session.handshake.server import ServerHandshake
from sottovoce.session.handshake.transcript import Transcript, prologue

__all__ = [
    "Agreement",
    "ClientAgreement",
    "ClientHandshake",
    "EpochSecrets",
    "HandshakeSecrets",
    "ServerAgreement",
    "ServerHandshake",
    "TicketIssuer",
    "Transcript",
    "epoch_secrets",
    "finished_mac",
    "first_root",
    "handshake_secrets",
    "next_root",
    "next_transcript",
    "open_flight_untrusted",
    "prologue",
    "seal_flight",
]
