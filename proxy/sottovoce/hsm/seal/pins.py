"""PINs while the HSM is unsealed: in anonymous memory files, which token processes inherit.

A memory file has no name and lies on no disk.  The proxy holds descriptors and never reads them: the unsealer writes a
PIN, a token process reads it, through a descriptor that it inherits.  So a token process that died is replaced without
asking anybody, and when the proxy ends the PINs are gone with it.  `drop` overwrites the one copy that all share.

Each unsealer writes into files of its own, whose content the kernel moves on when it is done: one that was killed too
late has written where nobody looks.  The files that are lent stay the same from start to end.

The kernel may swap such memory like any other; a machine that serves should have no swap, or an encrypted one.
"""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from sottovoce.hsm.seal.seam import LentPin
from sottovoce.primitives import Secret, wipe_bytes


class HeldPins:
    """One memory file for each node.  Leaving the `with` block drops and closes them."""

    def __init__(self, nodes: Iterable[str]) -> None:
        """Make them, empty.  Raises OSError where no descriptor is left."""
        self._files: dict[str, int] = {}
        try:
            for node in nodes:
                descriptor = os.memfd_create("hsm-pin", os.MFD_CLOEXEC)  # a name for people who look into /proc
                self._files[node] = descriptor
                os.fchmod(descriptor, 0o600)
        except OSError:
            self.close()
            raise

    @property
    def places(self) -> dict[str, LentPin]:
        """By node, where a token process of ours finds its PIN, if there is one."""
        return {node: LentPin(f"fd:{descriptor}", descriptor) for node, descriptor in self._files.items()}

    def fill_from(self, others: Self) -> None:
        """Take the PINs of others for the same nodes, and drop them there.  They do not pass through this process.

        Raises OSError where there is no memory; this is to be dropped then.
        """
        for node, descriptor in self._files.items():
            source = others._files[node]
            os.lseek(descriptor, 0, os.SEEK_SET)
            size = os.fstat(source).st_size
            _all(os.sendfile(descriptor, source, 0, size), size)
        others.close()

    def drop(self) -> None:
        """Overwrite the PINs, for everybody who has a descriptor.  It cannot fail; doing it twice is harmless.

        Where there is no leave to write, they are cut off all the same: nobody is given a page that is not blank.
        """
        for descriptor in self._files.values():
            with suppress(OSError):
                os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
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
    """Put a PIN into its memory file; wipes it here.  Raises OSError where there is no memory."""
    with pin:
        copy = pin.copy_for_sealing()
        try:
            _all(os.pwrite(descriptor, copy, 0), len(copy))
        finally:
            wipe_bytes(copy)


def _all(written: int, wanted: int) -> None:
    if written != wanted:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
