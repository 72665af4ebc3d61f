"""Has a process tell what its secrets are, into a file for the test that looks for them elsewhere.

The file gets a line for each secret at the moment at which it is wiped, `wiped NAME HEX`, and on demand one for each
that lives, `live NAME HEX`, then `told`.  The hex is of the secret under a mask, and no copy in the clear is made: what
is found in memory or in a log is no note.
"""

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sottovoce.primitives import Secret, kem, wipe_bytes
from sottovoce.transport import TlsIdentity

MASK = bytes(byte ^ 0xA5 for byte in range(256))
SHORTEST_BYTES = 10
"""The part of an SFrame nonce that a generation keeps; what is shorter is found by chance."""


NOTED_OTHERWISE = ("sottovoce.hsm.", "sottovoce.identity.tickets.", "sottovoce.primitives.kdf")
"""What these wipe is noted as what it holds or becomes: frames of a token process, a ticket's content, derived keys."""


class Teller:
    """Writes the notes of one process."""

    def __init__(self, path: Path) -> None:
        self._notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, name: str, value: bytes | bytearray) -> None:
        if len(value) >= SHORTEST_BYTES and any(value):
            os.write(self._notes, f"{what} {name.replace(' ', '-')} {value.translate(MASK).hex()}\n".encode())

    def tell_live(self, *_: object) -> None:
        """Note what lives; fit for a signal handler."""
        gc.collect()
        for thing in gc.get_objects():
            if isinstance(thing, Secret):
                self.note("live", thing.name, thing.expose())
        os.write(self._notes, b"told\n")


def tell_secrets(path: Path) -> Teller:
    """Begin to note what is wiped."""
    teller = Teller(path)
    wipe, overwrite = Secret.wipe, wipe_bytes

    def noting_wipe(self: Secret) -> None:
        teller.note("wiped", self.name, self.expose())
        wipe(self)

    def noting_wipe_bytes(value: bytes) -> None:
        teller.note("wiped", "bytes", value)
        overwrite(value)

    Secret.wipe = noting_wipe  # type: ignore[method-assign]
    for name, module in list(sys.modules.items()):
        if getattr(module, "wipe_bytes", None) is overwrite and not name.startswith(NOTED_OTHERWISE):
            module.wipe_bytes = noting_wipe_bytes  # type: ignore[attr-defined]
    return teller


def tell_library_keys(teller: Teller) -> None:
    """Note private keys that the library holds: of TLS certificates, of key shares."""
    make = TlsIdentity.__init__

    def noting_init(self: TlsIdentity, certificate: Any, key: Any, chain: Any = ()) -> None:
        teller.note("live", "leaf-key", key.private_numbers().private_value.to_bytes(32))
        teller.note("live", "leaf-der", key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())[26:])
        make(self, certificate, key, chain)

    TlsIdentity.__init__ = noting_init  # type: ignore[method-assign]
    for module, kind in ((kem.x25519, "X25519PrivateKey"), (kem.mlkem, "MLKEM768PrivateKey")):
        setattr(kem, module.__name__.rpartition(".")[2], _Noting(module, kind, teller))


class _Noting:
    """A module of the library, one of whose kinds of private key is noted when it is made."""

    def __init__(self, module: Any, kind: str, teller: Teller) -> None:
        self._module, self._kind, self._teller = module, kind, teller

    def __getattr__(self, name: str) -> Any:
        return self if name == self._kind else getattr(self._module, name)

    def generate(self) -> Any:
        key = getattr(self._module, self._kind).generate()
        self._teller.note("live", self._kind, key.private_bytes_raw())
        return key


def notes(text: str, what: str | None = None) -> Generator[tuple[str, bytes]]:
    """Read notes: names and secrets."""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        name, _, masked = rest.partition(" ")
        if masked and what in {None, kind}:
            yield name, bytes(byte ^ 0xA5 for byte in bytes.fromhex(masked))
