"""PINs while the HSM is unsealed: in anonymous memory files, which token processes inherit.

A memory file has no name and lies on no disk.  The proxy holds descriptors and never reads them: the unsealer writes a
PIN, a token process reads it, each through the same number.  So a token process that died is replaced without asking
anybody, and when the proxy ends the PINs are gone with it.  `drop` overwrites the one copy that all descriptors share.

The kernel may swap such memory like any other; a machine that serves should have no swap, or an encrypted one.
"""

import os
from collections.abc import Iterable
from typing import Self

from sottovoce.hsm.seal.errors import HsmSealed
from sottovoce.hsm.seal.record import MAX_PIN_BYTES
from sottovoce.hsm.seal.seam import LentPin
from sottovoce.primitives import Secret, wipe_bytes


class HeldPins:
    """One memory file for each node.  Leaving the `with` block drops and closes them."""

    def __init__(self, nodes: Iterable[str]) -> None:
        """Make them, empty.  Raises OSError where no descriptor is left."""
        self._files: dict[str, int] = {}
        try:
            for node in nodes:
                # The name is for people who look into /proc.  0600: `hsm.process.login` wants a PIN's file so.
                self._files[node] = descriptor = os.memfd_create("hsm-pin", os.MFD_CLOEXEC)
                os.fchmod(descriptor, 0o600)
        except OSError:
            self.close()
            raise

    @property
    def descriptors(self) -> dict[str, int]:
        """By node, what a process has to inherit (`pass_fds`, which keeps the numbers)."""
        return dict(self._files)

    def lend(self, node: str) -> LentPin:
        """Say where a token process of ours finds a node's PIN.  Raises HsmSealed when there is none."""
        descriptor = self._files.get(node)
        if descriptor is None or os.fstat(descriptor).st_size == 0:
            raise HsmSealed(f"there is no PIN for node {node}: it was not sealed with the others, make a new seal")
        return LentPin(f"/proc/self/fd/{descriptor}", descriptor)

    def drop(self) -> None:
        """Overwrite the PINs, for everybody who has a descriptor.  Doing it twice is harmless."""
        for descriptor in self._files.values():
            os.pwrite(descriptor, bytes(MAX_PIN_BYTES), 0)
            os.ftruncate(descriptor, 0)

    def close(self) -> None:
        """Drop, and give the descriptors back."""
        self.drop()
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_pin(descriptor: int, pin: Secret) -> None:
    """Put a PIN into its memory file; wipes it here."""
    with pin:
        copy = pin.copy_for_sealing()
        try:
            os.pwrite(descriptor, copy, 0)
        finally:
            wipe_bytes(copy)
