"""Reads what a client trusts, anchors and CA certificates, from files or as given.  A message names file and remedy.

What it shows of itself is read by `credentials`.
"""

import os
import stat
from pathlib import Path

import msgspec

from sottovoce.client.errors import CallMisconfigured
from sottovoce.session import Anchor, AnchorFileInvalid, check_anchors, parse_anchor_file

_MAX_FILE_BYTES = 1_048_576


class Trust(msgspec.Struct, frozen=True):
    """Whom a client believes: the anchors of the voice protocol, and the CA of the TLS around it."""

    anchors: tuple[Anchor, ...]
    ca: bytes
    """PEM text."""


def trust_from_directory(directory: str | Path) -> Trust:
    """Read `certs/anchor.json` and `certs/ca.pem` in the directory of `sottovoce init`.  Raises CallMisconfigured."""
    certificates = Path(directory) / "certs"
    return Trust(anchors=read_anchors(certificates / "anchor.json"), ca=read_ca(certificates / "ca.pem"))


def read_anchors(source: str | Path | bytes | tuple[Anchor, ...]) -> tuple[Anchor, ...]:
    """Give the anchors of a file (str or Path), of a file's content (bytes), or these.  Raises CallMisconfigured."""
    if isinstance(source, tuple):
        if not source:
            raise CallMisconfigured("no anchor is given", "give the anchor.json that the server's operator hands out")
        return _checked(source)
    named = "the anchor file" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_file(source, "the server's operator hands out anchor.json")
    try:
        return parse_anchor_file(data)
    except AnchorFileInvalid as error:
        raise _invalid(named, error) from None


def read_ca(source: str | Path | bytes) -> bytes:
    """Give a CA file's PEM text.  Raises CallMisconfigured."""
    if isinstance(source, bytes):
        return source
    return read_file(source, "it is certs/ca.pem in the server's directory; for a public CA give none")


def _checked(anchors: tuple[Anchor, ...]) -> tuple[Anchor, ...]:
    try:
        check_anchors(anchors)
    except AnchorFileInvalid as error:
        raise _invalid("the anchors given", error) from None
    return anchors


def _invalid(what: str, error: AnchorFileInvalid) -> CallMisconfigured:
    happened, _, remedy = str(error).partition("; ")
    return CallMisconfigured(f"{what}: {happened}", remedy or "ask the operator for anchor.json again")


def read_file(path: str | Path, remedy: str, *, private: bool = False) -> bytes:
    """Read a file of sensible size; a private one only if others cannot.  Raises CallMisconfigured with `remedy`."""
    try:
        with Path(path).open("rb") as file:
            if private:
                _refuse_readable(os.fstat(file.fileno()), path)
            data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no file's name"
        raise CallMisconfigured(f"{path}: {why}", remedy) from None
    if len(data) > _MAX_FILE_BYTES:
        raise CallMisconfigured(f"{path} is far too large", remedy)
    return data


def _refuse_readable(found: os.stat_result, path: str | Path) -> None:
    """Refuse a private key that others can read, as ssh does.

    What belongs to somebody else, root mostly, may be open to a group: that is how a service gets to read it.
    """
    is_own = found.st_uid == os.geteuid()
    if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IRWXO | (stat.S_IRWXG if is_own else 0)):
        raise CallMisconfigured(f"{path} holds a private key and is open to others", f"chmod 600 {path}")
