"""Who may call: the files of `[clients]`, and the judge of what clients show."""

from sottovoce.identity.clients.clients import Clients, read_clients
from sottovoce.identity.clients.config import ClientsConfig
from sottovoce.identity.clients.contents import ClientsContents, read_contents

__all__ = ["Clients", "ClientsConfig", "ClientsContents", "read_clients", "read_contents"]
