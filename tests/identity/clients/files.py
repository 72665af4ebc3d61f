"""What tests of clients write: tokens, entries, files, and how they are shown."""

import hashlib
from pathlib import Path
from typing import Any

from sottovoce.identity import Clients, ClientsConfig, read_clients
from sottovoce.primitives import PublicKey
from sottovoce.session import Possession, ShownCredential
from sottovoce.transport import SystemEntropy

HOST = b"voice.example.com"
ECHO = b"/v1/voice/echo"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def digest(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()


def token_entry(token: bytes = b"good", more: str = "", name: str = "open") -> str:
    return (
        f'[[client]]\nname = "{name}"\ntoken_sha256 = "{digest(token)}"\n'
        f'audience = ["Voice.example.com", "localhost:8443"]\n{more}\n'
    )


def read(directory: Path, text: str | bytes = "", *, now: float = NOW, **more: Any) -> Clients:
    """Read a clients file, and what else `[clients]` names."""
    file = directory / "clients.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    config = ClientsConfig(file=str(file), **more)
    return read_clients(config, lambda: now, SystemEntropy())


def token(value: bytes, authority: bytes = HOST, path: bytes = ECHO) -> ShownCredential:
    return ShownCredential(1, value, authority, path)


def key(public: PublicKey, signature: bytes, authority: bytes = HOST, path: bytes = ECHO) -> ShownCredential:
    return ShownCredential(2, public.encoded, authority, path, Possession(public, b"what is signed", signature))


def certificate(der: bytes, authority: bytes = HOST, path: bytes = ECHO) -> ShownCredential:
    return ShownCredential(3, hashlib.sha256(der).digest(), authority, path, certificate=der)
