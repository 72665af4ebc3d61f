"""A directory's anchors: where they are written, who may write them, and what is written first.

The ring decides (`identity.rotation`); `certs/anchor.json` is made of it, always after it: whoever is told of an anchor
is told of one that the token has.  Nothing is written but by the user who owns the directory, since the proxy has to
read what its token's library writes.
"""

import fcntl
import os
import pwd
import shlex
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from sottovoce.app.places import ANCHOR_LIST, ANCHORS
from sottovoce.app.staging import replace_file
from sottovoce.hsm import KeyName
from sottovoce.identity import AnchorRing, RingAnchor, load_anchors, load_ring
from sottovoce.primitives import SottovoceError
from sottovoce.session import format_anchor_file, parse_anchor_file
from sottovoce.settings import Configuration, find_file, load


class AnchorsRefused(SottovoceError):
    """An anchor cannot be replaced as things stand; the text says what is to be done first."""


class Place(NamedTuple):
    """A directory with anchors."""

    base: Path
    shown: str
    """As the operator wrote it, for a shell."""
    configuration: Configuration

    @property
    def list_file(self) -> Path:
        """Where the ring lies, once there is one."""
        return self.base / ANCHOR_LIST

    @property
    def anchor_file(self) -> Path:
        """What clients are given."""
        return self.base / ANCHORS

    def ring(self) -> AnchorRing:
        """Read the ring, or begin one of the anchor that `init` made.  Raises AnchorsUnusable, AnchorsRefused."""
        handed_out = load_anchors(self.anchor_file)
        ring = load_ring(self.list_file)
        if ring is not None:
            # An operator may have changed whom an anchor stands for.
            names = {each.anchor_id.hex(): each.authorities for each in handed_out}
            anchors = (
                msgspec.structs.replace(each, authorities=names.get(each.id, each.authorities)) for each in ring.anchors
            )
            return msgspec.structs.replace(ring, anchors=tuple(anchors))
        if len(handed_out) != 1:
            text = (
                f"{self.anchor_file} holds {len(handed_out)} anchors and {self.list_file} is missing: "
                "restore both from the same backup"
            )
            raise AnchorsRefused(text)
        first = RingAnchor.of(handed_out[0], KeyName.ANCHOR)
        return AnchorRing(issuing=first.id, anchors=(first,))

    def write(self, ring: AnchorRing) -> None:
        """Take a ring into use, and then hand out what it holds.  Raises OSError."""
        replace_file(self.list_file, ring.to_file(), 0o600)
        self.hand_out(ring)

    def hand_out(self, ring: AnchorRing) -> None:
        """Have the anchor file hold what the ring holds.  Raises OSError, AnchorFileInvalid."""
        text = format_anchor_file(each.anchor for each in ring.anchors)
        parse_anchor_file(text)
        if self.anchor_file.read_bytes() != text:
            replace_file(self.anchor_file, text, 0o644)


def place_of(directory: Path) -> Place:
    """Find it.  Raises ConfigurationInvalid."""
    file = find_file(directory)
    return Place(file.absolute().parent, shlex.quote(str(directory)), load(file))


@contextmanager
def locked(place: Place) -> Generator[None]:
    """Keep other anchor commands out.  Raises AnchorsRefused where there is one, or this is not the owner."""
    folder = place.list_file.parent
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        text = f"{folder} cannot be read ({error.strerror}): give a directory that sottovoce init has made"
        raise AnchorsRefused(text) from None
    try:
        _refuse_other_users(place, os.fstat(descriptor).st_uid)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another command changes the anchors of {place.base}: wait until it has ended"
            raise AnchorsRefused(text) from None
        try:
            yield
        except OSError as error:
            text = f"{error.filename or folder} cannot be written ({error.strerror}): mend that, and run this again"
            raise AnchorsRefused(text) from None
    finally:
        os.close(descriptor)


def _refuse_other_users(place: Place, owner: int) -> None:
    if owner == os.geteuid():
        return
    name = str(owner)
    with suppress(KeyError):
        name = pwd.getpwuid(owner).pw_name
    text = f"{place.base} belongs to {name}, who has to be able to read what is made: run this as that user"
    raise AnchorsRefused(text)
