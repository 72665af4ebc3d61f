"""A directory's tokens, and opening them beside a proxy that may run: each in a process of the command's own.

Each opening is one login with the PIN, as a start of the proxy is.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import trio

from sottovoce.app.doctor.sockets import locker_of
from sottovoce.app.hsm.token_child import COMMAND
from sottovoce.app.places import INVENTORY, TokenPlaces, token_places
from sottovoce.audit import AuditEvent, KeyCopied, KeyDestroyed, KeyGenerated, open_audit
from sottovoce.hsm import Cluster, HsmConfig, Operation, TokenEvent, TokenUp, open_pool
from sottovoce.hsm.messages import Answer, Question
from sottovoce.hsm.operations import ChangeKind, KeyChange, Outcome, Terms, on_each
from sottovoce.primitives import SottovoceError, one_line
from sottovoce.settings import Configuration, find_file, load
from sottovoce.transport import SystemClock

DEADLINE_SECONDS: Final = 90.0
"""For whatever a command asks of a token: a person waits, and the machine may be busy."""
_PATIENT_SECONDS: Final = 60.0


class TokensRefused(SottovoceError):
    """Tokens or their keys are not as a command needs them; the text says what is to be done."""


class Tokens(NamedTuple):
    """A directory, and the tokens that its configuration names."""

    base: Path
    file: Path
    configuration: Configuration
    places: dict[str, TokenPlaces]

    @property
    def inventory(self) -> Path:
        """The list of keys that the tokens hold beside their own."""
        return self.base / INVENTORY

    def named(self, name: str) -> TokenPlaces:
        """Give the token of that name.  Raises TokensRefused."""
        if name not in self.places:
            text = f"there is no token {one_line(name)} in {self.file}: give one of {', '.join(self.places)}"
            raise TokensRefused(text)
        return self.places[name]


def tokens_of(directory: Path) -> Tokens:
    """Find them.  Raises ConfigurationInvalid."""
    file = find_file(directory).absolute()
    configuration = load(file)
    return Tokens(file.parent, file, configuration, {each.name: each for each in token_places(configuration.hsm)})


def refuse_while_it_serves(tokens: Tokens) -> None:
    """Raises TokensRefused where a proxy runs over the directory."""
    running = locker_of(Path(tokens.configuration.audit.file))
    if running is not None:
        text = (
            f"the proxy that runs (pid {running.pid}) may use the keys, and holds the audit log, which has to tell of "
            "this: stop it first"
        )
        raise TokensRefused(text)


async def tell_audit_log(tokens: Tokens, changes: Iterable[KeyChange]) -> None:
    """Put on the audit log what was done to keys; a directory that has none has not served yet.  Raises AuditFailed."""
    if not Path(tokens.configuration.audit.file).exists():  # noqa: ASYNC240  a command waits for nobody
        return
    async with open_audit(tokens.configuration.audit, SystemClock()) as log:
        for change in changes:
            await log.record(_event(tokens, change))


def _event(tokens: Tokens, change: KeyChange) -> AuditEvent:
    token = tokens.places[change.node].config.token
    match change.what:
        case ChangeKind.MADE:
            digest = hashlib.sha256(change.public).hexdigest() if change.public else ""
            return KeyGenerated(key=change.label, algorithm=str(change.kind), token=token, sha256=digest)
        case ChangeKind.COPIED:
            return KeyCopied(key=change.label, source=tokens.places[change.source].config.token, token=token)
        case ChangeKind.DESTROYED:
            return KeyDestroyed(key=change.label, token=token, node=change.node)


def patient(config: HsmConfig) -> HsmConfig:
    """Give the same with time for a machine that is busy."""
    return msgspec.structs.replace(config, start_seconds=_PATIENT_SECONDS, deadline_seconds=_PATIENT_SECONDS)


class Opened(NamedTuple):
    """A pool of those that were to be opened, and why some of them are not."""

    pool: Cluster
    closed: dict[str, str]
    """By name, a line each."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are open."""
        return tuple(name for name in self.pool.nodes if name not in self.closed)

    async def ask_each(
        self,
        operation: Operation[Question, Answer],
        question_for: Callable[[str], Question],
        *,
        only: Iterable[str] | None = None,
    ) -> Outcome[Answer]:
        """Ask every token that is open, or `only` these of them, all at once."""
        asked = [name for name in self.names if only is None or name in only]
        return await on_each(self.pool, asked, operation, question_for, Terms(DEADLINE_SECONDS, ""))


@asynccontextmanager
async def opened(
    tokens: Tokens, names: Iterable[str], *, change_keys: bool = False, config: HsmConfig | None = None
) -> AsyncGenerator[Opened]:
    """Open these of the directory's tokens, as a pool.  Raises HsmError where none opens.

    `config` replaces what is said of the pool.
    """
    wanted = list(names)
    whole = config or patient(tokens.configuration.hsm)
    heard: dict[str, TokenEvent] = {}
    all_heard = trio.Event()

    def hear(name: str, event: TokenEvent) -> None:
        heard[name] = event
        if len(heard) == len(wanted):
            all_heard.set()

    async with open_pool(
        whole.alone(wanted[0]) if len(wanted) == 1 else _some_of(whole, wanted),
        command=COMMAND,
        files=lambda name: tokens.places[name].files(tokens.base),
        report=hear,
        change_keys=change_keys,
    ) as pool:
        await all_heard.wait()
        yield Opened(pool, {name: each.reason for name, each in heard.items() if not isinstance(each, TokenUp)})


def _some_of(config: HsmConfig, names: list[str]) -> HsmConfig:
    nodes = {name: node for name, node in config.nodes.items() if name in names}
    return msgspec.structs.replace(config, nodes=nodes, quorum=min(config.needed, len(nodes)), template="none")
