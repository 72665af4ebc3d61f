"""Changes of the clients file: made under a lock, whole or not at all, and nothing else in the file touched.

The file may be written by hand as well.  So it is edited as text: an entry is put at its end, or cut out with the
comment that stands right above it, and the result is read again and compared with what was meant.  Where that does not
agree (a file written in a way that was not thought of here), nothing is written.
"""

import datetime as dt
import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from sottovoce.identity.clients.file import KEY, ClientEntry, ClientsFile, parse_clients
from sottovoce.identity.errors import ClientRefused, ClientsUnusable

_HEADER = re.compile(r"\s*\[\[\s*client\s*\]\]\s*(?:#.*)?")
_WITHDRAWN = re.compile(r"^\s*withdrawn\s*=\s*\[", re.MULTILINE)
_FIELDS = ("name", "token_sha256", "public_key", "audience", "routes", "expires", "added")
_OPENING = "# Who may call (docs/credentials.md).  Change it with `sottovoce clients`, or by hand.\n"
_MODE = 0o600


def read_clients_file(path: Path) -> ClientsFile:
    """Read the file; one that is not there has nobody in it.  Raises ClientsUnusable."""
    return _parsed(_read(path), path)


def add_client(path: Path, entry: ClientEntry, *, dry_run: bool = False) -> None:
    """Put an entry at the end of the file, which is made if it is not there.  Raises ClientRefused, ClientsUnusable."""
    written = _written(entry)
    try:
        parse_clients(written)
    except ClientsUnusable as error:
        raise ClientRefused(str(error).replace("client[0]", "the client")) from None

    def add(text: str, before: ClientsFile) -> tuple[str, ClientsFile]:
        if entry.name in before.withdrawn or entry.credential in before.withdrawn:
            raise ClientRefused(f"{entry.name} is withdrawn: take it out of withdrawn in {path} first")
        if entry.credential in {each.credential for each in before.client}:
            raise ClientRefused(f"{path} has this {entry.credential.partition(':')[0]} already: make another")
        start = text or _OPENING
        gap = "" if start.endswith("\n") else "\n"
        return f"{start}{gap}\n{written}", ClientsFile((*before.client, entry), before.withdrawn)

    _change(path, add, dry_run=dry_run)


def revoke_clients(
    path: Path, *, name: str = "", credential: str = "", withdraw: bool = False, dry_run: bool = False
) -> tuple[ClientEntry, ...]:
    """Take out the entries of a name, or of one credential; with `withdraw`, note that what is named may not call.

    Gives the entries that were taken out.  Raises ClientRefused where there is nothing to do, and ClientsUnusable.
    """
    named = name or credential
    gone: tuple[ClientEntry, ...] = ()

    def revoke(text: str, before: ClientsFile) -> tuple[str, ClientsFile]:
        nonlocal gone
        found = [
            number
            for number, each in enumerate(before.client)
            if (each.credential if credential else each.name) == named
        ]
        gone = tuple(before.client[number] for number in found)
        adds = withdraw and named not in before.withdrawn
        if not gone and not adds:
            raise ClientRefused(_nothing_to_do(path, named, is_withdrawn=named in before.withdrawn))
        for number in reversed(found):
            text = _without(text, number, len(before.client), path)
            before = ClientsFile(before.client[:number] + before.client[number + 1 :], before.withdrawn)
        if adds:
            text, before = _with_withdrawn(text, named), ClientsFile(before.client, (named, *before.withdrawn))
        return text, before

    _change(path, revoke, dry_run=dry_run)
    return gone


def _nothing_to_do(path: Path, named: str, *, is_withdrawn: bool) -> str:
    if is_withdrawn:
        return f"{named!a} is withdrawn already in {path}: nothing is left to revoke"
    return (
        f"there is no client {named!a} in {path}: see sottovoce clients list, "
        "or add --withdraw for the name in a JWT or a certificate"
    )


def _change(path: Path, change: Callable[[str, ClientsFile], tuple[str, ClientsFile]], *, dry_run: bool) -> None:
    try:
        target = path.resolve()  # a symbolic link stays one
        with _locked(target.parent):
            text = _read(target)
            changed, meant = change(text, _parsed(text, path))
            if _as_read(changed, path) != meant:
                raise ClientRefused(f"{path} is written in a way that is not edited safely: change it by hand")
            if not dry_run:
                _replace(target, changed.encode())
    except OSError as error:
        raise ClientsUnusable(KEY, f"the clients file {path} cannot be changed ({error.strerror})") from None


def _parsed(text: str, path: Path) -> ClientsFile:
    try:
        return parse_clients(text)
    except ClientsUnusable as error:
        raise ClientsUnusable(KEY, f"the clients file {path}: {error}") from None


def _as_read(text: str, path: Path) -> ClientsFile:
    try:
        return parse_clients(text)
    except ClientsUnusable:
        raise ClientRefused(f"{path} is written in a way that is not edited safely: change it by hand") from None


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        text = f"the clients file {path} cannot be read ({error.strerror}): check clients.file"
    except UnicodeDecodeError:
        text = f"the clients file {path} is not UTF-8 text: write it as TOML"
    raise ClientsUnusable(KEY, text)


def _written(entry: ClientEntry) -> str:
    lines = [f"{name} = {_toml(value)}" for name in _FIELDS if (value := getattr(entry, name)) is not None]
    return "\n".join(["[[client]]", *lines, ""])


def _toml(value: object) -> str:
    """Write a text, a list of texts or a date.  JSON's texts are TOML's, where all characters are printable."""
    match value:
        case dt.date():
            return value.isoformat().replace("+00:00", "Z")
        case tuple():
            return f"[{', '.join(map(_toml, cast('tuple[object, ...]', value)))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _without(text: str, number: int, entries: int, path: Path) -> str:
    """Cut an entry out, from the comment right above it to the last line before the next one's."""
    lines = text.splitlines(keepends=True)
    headers = [line for line, content in enumerate(lines) if _HEADER.fullmatch(content.rstrip("\r\n"))]
    if len(headers) != entries:
        raise ClientRefused(f"{path} is written in a way that is not edited safely: change it by hand")
    starts = [_with_comment(lines, header) for header in headers]
    end = starts[number + 1] if number + 1 < entries else len(lines)
    return "".join(lines[: starts[number]] + lines[end:])


def _with_comment(lines: list[str], header: int) -> int:
    start = header
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    # What stands at the top of the file speaks of the file.
    return start or header


def _with_withdrawn(text: str, name: str) -> str:
    """Put a name in front of those that are withdrawn."""
    if found := _WITHDRAWN.search(text):
        rest = text[found.end() :]
        comma = "" if rest.lstrip().startswith("]") else ", "
        return f"{text[: found.end()]}{_toml(name)}{comma}{rest}"
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip("\r\n"))), len(lines))
    start = _with_comment(lines, start) if start < len(lines) else start
    above = "".join(lines[:start])
    gap = "" if not above or above.endswith("\n\n") else ("\n" if above.endswith("\n") else "\n\n")
    return f"{above or _OPENING}{gap}withdrawn = [{_toml(name)}]\n\n{''.join(lines[start:])}"


@contextmanager
def _locked(directory: Path) -> Generator[None]:
    """Hold the directory: of two changes at a time, the second waits for the first."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    """Put new contents in the place of the file, with its owner and mode; a new one is its directory's owner's."""
    try:
        old = path.stat()
        mode = stat.S_IMODE(old.st_mode)
    except FileNotFoundError:
        old, mode = path.parent.stat(), _MODE
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            with suppress(PermissionError):
                os.fchown(stream.fileno(), old.st_uid, old.st_gid)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
