"""A directory's anchors: where they are written, who may write them, and what is written first.

Each token has a ring, which decides (`identity.rotation`); `certs/anchor.json` is made of all rings, always after them:
whoever is told of an anchor is told of one that a token has.  Nothing is written but by the user who owns the
directory, since the proxy has to read what its token's library writes.
"""

import fcntl
import os
import pwd
import shlex
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from sottovoce.app.places import ANCHORS, TokenPlaces, token_places
from sottovoce.app.staging import replace_file
from sottovoce.hsm import KeyName
from sottovoce.identity import AnchorRing, RingAnchor, load_anchors, load_ring
from sottovoce.primitives import SottovoceError, one_line
from sottovoce.session import format_anchor_file, parse_anchor_file
from sottovoce.settings import Configuration, find_file, load


class AnchorsRefused(SottovoceError):
    """An anchor cannot be replaced as things stand; the text says what is to be done first."""


class Place(NamedTuple):
    """A directory with anchors, and the token whose anchors are meant."""

    base: Path
    words: str
    """What names both in a command, for a shell."""
    configuration: Configuration
    token: TokenPlaces

    @property
    def list_file(self) -> Path:
        """Where the ring lies, once there is one."""
        return self.token.anchor_list

    @property
    def anchor_file(self) -> Path:
        """What clients are given."""
        return self.base / ANCHORS

    def ring(self) -> AnchorRing:
        """Read the ring, or begin one of the anchor that `init` made.

        Raises AnchorsUnusable, AnchorsRefused; also for those of other tokens, without which none can be handed out.
        """
        return next(ring for token, ring in self._rings() if token == self.token)

    def write(self, ring: AnchorRing) -> None:
        """Take a ring into use, and then hand out what it holds.  Raises OSError."""
        replace_file(self.list_file, ring.to_file(), 0o600)
        self.hand_out(ring)

    def hand_out(self, ring: AnchorRing) -> None:
        """Have the anchor file hold what the rings of all tokens hold; `ring` is this token's.

        Raises OSError, AnchorFileInvalid, AnchorsUnusable, AnchorsRefused.
        """
        rings = [ring if token == self.token else other for token, other in self._rings()]
        text = format_anchor_file(anchor.anchor for each in rings for anchor in each.anchors)
        parse_anchor_file(text)
        if self.anchor_file.read_bytes() != text:
            replace_file(self.anchor_file, text, 0o644)

    def _rings(self) -> list[tuple[TokenPlaces, AnchorRing]]:
        return [(token, _ring(token, self.anchor_file)) for token in token_places(self.configuration.hsm)]


def _ring(token: TokenPlaces, anchor_file: Path) -> AnchorRing:
    handed_out = load_anchors(anchor_file)
    ring = load_ring(token.anchor_list)
    if ring is not None:
        # An operator may have changed whom an anchor stands for.
        names = {each.anchor_id.hex(): each.authorities for each in handed_out}
        anchors = (
            msgspec.structs.replace(each, authorities=names.get(each.id, each.authorities)) for each in ring.anchors
        )
        return msgspec.structs.replace(ring, anchors=tuple(anchors))
    if len(handed_out) != 1:
        text = (
            f"{anchor_file} holds {len(handed_out)} anchors and {token.anchor_list} is missing: "
            "restore both from the same backup"
        )
        raise AnchorsRefused(text)
    first = RingAnchor.of(handed_out[0], KeyName.ANCHOR)
    return AnchorRing(issuing=first.id, anchors=(first,))


def place_of(directory: Path, node: str = "") -> Place:
    """Find it; without a node's name the first token is meant.  Raises ConfigurationInvalid, AnchorsRefused."""
    file = find_file(directory)
    configuration = load(file)
    tokens = {each.name: each for each in token_places(configuration.hsm)}
    token = tokens.get(node or next(iter(tokens)))
    if token is None:
        text = f"there is no token {one_line(node)} in {file}: write --node with one of {', '.join(tokens)}"
        raise AnchorsRefused(text)
    which = f" --node {token.name}" if len(tokens) > 1 else ""
    return Place(file.absolute().parent, f"{shlex.quote(str(directory))}{which}", configuration, token)


@contextmanager
def locked(place: Place) -> Generator[None]:
    """Keep other anchor commands out.  Raises AnchorsRefused where there is one, or this is not the owner."""
    folders = sorted({each.anchor_list.parent for each in token_places(place.configuration.hsm)})
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(_locked(place, folder))
        try:
            yield
        except OSError as error:
            text = f"{error.filename or folders[0]} cannot be written ({error.strerror}): mend that, and run this again"
            raise AnchorsRefused(text) from None


@contextmanager
def _locked(place: Place, folder: Path) -> Generator[None]:
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
        yield
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
