"""Who may call: the files of `[clients]`, and the judge of what clients show."""

from sottovoce.identity.clients.clients import Clients, read_clients
from sottovoce.identity.clients.config import ClientsConfig
from sottovoce.identity.clients.contents import (
    ClientsContents,
    ClientsSources,
    contents_of,
    read_contents,
    reread_contents,
)
from sottovoce.identity.clients.editing import add_client, read_clients_file, revoke_clients
from sottovoce.identity.clients.file import ClientEntry, ClientsFile
from sottovoce.identity.clients.grants import route_of

__all__ = [
    "ClientEntry",
    "Clients",
    "ClientsConfig",
    "ClientsContents",
    "ClientsFile",
    "ClientsSources",
    "add_client",
    "contents_of",
    "read_clients",
    "read_clients_file",
    "read_contents",
    "reread_contents",
    "revoke_clients",
    "route_of",
]
