"""What is looked at from outside, and whom the looker believes."""

from pathlib import Path

import msgspec

from sottovoce.client import CallMisconfigured, trust_from_directory
from sottovoce.client.address import Address, parse_address
from sottovoce.client.trust import read_anchors, read_ca
from sottovoce.session import Anchor


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line names: files, as there are."""

    directory: Path | None = None
    anchor: Path | None = None
    ca: Path | None = None
    token: Path | None = None
    key: Path | None = None


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A server's address, and what is believed of it."""

    url: str
    address: Address
    anchors: tuple[Anchor, ...]
    """None: the voice handshake cannot be judged, and is not made."""
    ca: bytes | None
    """PEM; None for the system's."""
    token: Path | None
    key: Path | None


def remote_of(url: str, trusted: Trusted) -> Remote:
    """Read URL and files.  Raises CallMisconfigured."""
    address = parse_address(url)
    anchors: tuple[Anchor, ...] = ()
    ca: bytes | None = None
    if trusted.directory is not None:
        if trusted.anchor is not None:
            raise CallMisconfigured("both --dir and --anchor are given", "give one of them")
        found = trust_from_directory(trusted.directory)
        anchors, ca = found.anchors, found.ca
    elif trusted.anchor is not None:
        anchors = read_anchors(trusted.anchor)
    if trusted.ca is not None:
        ca = read_ca(trusted.ca)
    return Remote(url=url, address=address, anchors=anchors, ca=ca, token=trusted.token, key=trusted.key)
