"""Where a directory's clients are written, and how its audit log is told of a change."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sottovoce.cli.output import any_path, say

if TYPE_CHECKING:
    from sottovoce.audit import AuditEvent
    from sottovoce.settings import Configuration

directory_argument = click.argument("directory", type=any_path, metavar="DIR")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_DEFAULT = "clients.toml"


class Place(NamedTuple):
    """A directory's clients file, and what else of the configuration is needed."""

    file: Path
    is_configured: bool
    configuration: "Configuration"

    def say_when(self) -> None:
        """Tell a person when a change takes effect."""
        if self.is_configured:
            say("a running proxy takes this within a second; one that does not run, at its start")
        else:
            say(f'no proxy reads it yet: write file = "{self.file.name}" under [clients] in the configuration')


def place_of(directory: Path) -> Place:
    """Find it.  Raises SottovoceError."""
    from sottovoce.settings import find_file, load

    file = find_file(directory)
    configuration = load(file)
    named = configuration.clients.file
    return Place(Path(named) if named else file.absolute().parent / _DEFAULT, bool(named), configuration)


def tell_audit_log(place: Place, events: "list[AuditEvent]") -> None:
    """Put a change that was made on the audit log.  A proxy that runs holds the log, and writes it there itself."""
    import trio

    from sottovoce.audit import AuditError

    file = place.configuration.audit.file
    if not os.path.exists(file):  # noqa: PTH110  a directory without a log has not served yet
        return
    if _is_held(file):
        return
    try:
        trio.run(_record, place, events)
    except AuditError as error:
        say(f"the change is made, but not on the audit log: {error}")


async def _record(place: Place, events: "list[AuditEvent]") -> None:
    from sottovoce.audit import open_audit
    from sottovoce.transport import SystemClock

    async with open_audit(place.configuration.audit, SystemClock()) as log:
        for event in events:
            await log.record(event)


def _is_held(file: str) -> bool:
    with suppress(OSError):
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
