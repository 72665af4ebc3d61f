"""Reads what a client trusts and what it shows: anchors, CA certificates, a token.  From files, or as given.

A message names the file and the remedy; it never holds what stood in a token's file.
"""

from pathlib import Path

import msgspec

from sottovoce.client.errors import CallMisconfigured
from sottovoce.primitives import Secret, wipe_bytes
from sottovoce.session import Anchor, AnchorFileInvalid, check_anchors, parse_anchor_file

_MAX_FILE_BYTES = 1_048_576
_MAX_TOKEN_BYTES = 8_192
"""Far above any token, and well within a handshake message."""


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
    data = source if isinstance(source, bytes) else _read(source, "the server's operator hands out anchor.json")
    try:
        return parse_anchor_file(data)
    except AnchorFileInvalid as error:
        raise _invalid(named, error) from None


def read_ca(source: str | Path | bytes) -> bytes:
    """Give a CA file's PEM text.  Raises CallMisconfigured."""
    if isinstance(source, bytes):
        return source
    return _read(source, "it is certs/ca.pem in the server's directory; for a public CA give none")


def read_token(source: str | Path | Secret) -> Secret:
    """Give the token in a file (Path), or this one (str), for the caller to wipe.  Raises CallMisconfigured."""
    if isinstance(source, Secret):
        return source
    if isinstance(source, str):
        return _token(source.encode(), "the token")
    return _token(_read(source, "have a token issued and put into this file"), str(source))


def _token(content: bytes, where: str) -> Secret:
    """Take what nobody else refers to: it is overwritten, whatever comes of it."""
    text = content.strip()
    try:
        if not text or len(text) > _MAX_TOKEN_BYTES or not text.isascii() or any(byte <= b" "[0] for byte in text):
            raise CallMisconfigured(
                f"{where} is not a token: it is empty, too long, or has spaces in it", "have one issued"
            )
        return Secret("bearer token", text)
    finally:
        wipe_bytes(text)
        wipe_bytes(content)


def _checked(anchors: tuple[Anchor, ...]) -> tuple[Anchor, ...]:
    try:
        check_anchors(anchors)
    except AnchorFileInvalid as error:
        raise _invalid("the anchors given", error) from None
    return anchors


def _invalid(what: str, error: AnchorFileInvalid) -> CallMisconfigured:
    happened, _, remedy = str(error).partition("; ")
    return CallMisconfigured(f"{what}: {happened}", remedy or "ask the operator for anchor.json again")


def _read(path: str | Path, remedy: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no file's name"
        raise CallMisconfigured(f"{path}: {why}", remedy) from None
    if len(data) > _MAX_FILE_BYTES:
        raise CallMisconfigured(f"{path} is far too large", remedy)
    return data
