"""The server's side of a call: listeners, admission, and driving a voice session between client and backend."""

from sottovoce.edge.config import Address, ListenerConfig, VoiceConfig, parse_address
from sottovoce.edge.connection import serve_connection
from sottovoce.edge.errors import AddressUnusable
from sottovoce.edge.gate import PATH_PREFIX, SUBPROTOCOL, Admitted, Refused, ServedRoute, admit
from sottovoce.edge.journal import AuditNotes, Journal
from sottovoce.edge.listener import Listener, bind, bind_several, listen
from sottovoce.edge.observer import CallObserver, Unobserved
from sottovoce.edge.services import CurrentServices, EdgeServices, RootSigner
from sottovoce.edge.voice import VoiceCall

__all__ = [
    "PATH_PREFIX",
    "SUBPROTOCOL",
    "Address",
    "AddressUnusable",
    "Admitted",
    "AuditNotes",
    "CallObserver",
    "CurrentServices",
    "EdgeServices",
    "Journal",
    "Listener",
    "ListenerConfig",
    "Refused",
    "RootSigner",
    "ServedRoute",
    "Unobserved",
    "VoiceCall",
    "VoiceConfig",
    "admit",
    "bind",
    "bind_several",
    "listen",
    "parse_address",
    "serve_connection",
]
