"""What supervisor and workers say to each other.  Pure.

Down: `Welcome` first, then whatever changes.  Up: `Ready` or `Failed`, then questions and news.  Of a message that may
be said to a worker of an earlier version (`Sealed`, `Leaf`, `Voice`, `TicketKeys`, `Clients`, `Recheck`, `Drain`,
`Retire`, `Pause`, `Resume` and the answers) fields are added, never taken away or given another meaning.
"""

from typing import Final, TypeVar

import msgspec

from sottovoce.app.floor import Load
from sottovoce.app.workers.desk.codec import DeskBroken
from sottovoce.audit import AuditFailed, CallEnded, CallRefused, CallStarted, ClassicalSuiteUsed
from sottovoce.hsm import (
    HsmBusy,
    HsmError,
    HsmSealed,
    HsmTimeout,
    HsmUnavailable,
    HsmWrongPin,
    KeyAbsent,
    KeyMissing,
    ModuleUnusable,
    OperationRefused,
    PinUnreadable,
    QuorumMissing,
    SealedSeedInvalid,
    TokenLost,
    TokenMissing,
    TokenProcessFailed,
)
from sottovoce.hsm.seal import Effects
from sottovoce.identity import BatchEvent, ClientsSources, LivingTicketKey, TicketKeyEvent
from sottovoce.observe.metrics import Snapshot
from sottovoce.pki import PackedIdentity
from sottovoce.primitives import SottovoceError, take_secret

VERSION: Final = 1
"""Of what is said here.  It changes with a message that an earlier version would take amiss."""

Message = TypeVar("Message", bound=msgspec.Struct)


class Given(msgspec.Struct, frozen=True):
    """A configuration, and who may call by it."""

    configuration: bytes
    """The resolved Configuration as msgpack: read only by a worker of the same version."""
    clients: ClientsSources


# Down.


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The first message: everything that a worker begins with."""

    worker: int
    file: str
    """The configuration's, to which paths are relative that routes name."""
    given: Given
    nodes: tuple[str, ...]
    most_out: int
    sockets: dict[str, tuple[int, ...]]
    """The descriptors of all sockets of each listener, which were inherited."""
    places: tuple[int, ...]
    """Which of these it accepts from."""
    records: int
    """The descriptor of the record of used tickets."""
    leaf: PackedIdentity
    voice: tuple[dict[str, bytes], ...]
    ticket_keys: tuple[LivingTicketKey, ...]
    effects: Effects


class Places(msgspec.Struct, frozen=True):
    """Accept from these sockets of each listener, and from no others."""

    places: tuple[int, ...]


class Leaf(msgspec.Struct, frozen=True):
    """Serve under this TLS certificate."""

    leaf: PackedIdentity


class Voice(msgspec.Struct, frozen=True):
    """All voice certificates, a set for each anchor, the current one last; encoded, by node."""

    sets: tuple[dict[str, bytes], ...]


class TicketKeys(msgspec.Struct, frozen=True):
    """All ticket keys that live."""

    living: tuple[LivingTicketKey, ...]


class Sealed(msgspec.Struct, frozen=True):
    """The HSM was sealed or unsealed."""

    effects: Effects


class Prepare(msgspec.Struct, frozen=True):
    """Asks whether a changed configuration can be taken; answered by Done, or Refused."""

    given: Given


class Commit(msgspec.Struct, frozen=True):
    """Take what was prepared; answered by Done."""


class Clients(msgspec.Struct, frozen=True):
    """Who may call; answered by Done."""

    clients: ClientsSources


class Recheck(msgspec.Struct, frozen=True):
    """End the calls of those whose time is over."""


class Drain(msgspec.Struct, frozen=True):
    """Let nobody in, send the calls away, and end when the last has gone."""

    spread_seconds: float
    stop_seconds: float


class Retire(msgspec.Struct, frozen=True):
    """Let nobody in, and end when the last call has ended by itself; drain what stays for longer."""

    stay_seconds: float
    spread_seconds: float
    stop_seconds: float


class Pause(msgspec.Struct, frozen=True):
    """Say Done, and then nothing more until Resume: who answers is replaced."""


class Resume(msgspec.Struct, frozen=True):
    """Go on."""


# Up.


class Ready(msgspec.Struct, frozen=True):
    """Calls can come."""

    version: int


class Failed(msgspec.Struct, frozen=True):
    """It cannot begin, and ends."""

    reason: str


class Ask(msgspec.Struct, frozen=True):
    """A question to whichever node can answer it, with what each is asked; answered by Answer, or Refused."""

    operation: str
    questions: dict[str, bytes]
    seconds: float


class Note(msgspec.Struct, frozen=True):
    """An event of a call, for the audit log."""

    event: CallStarted | CallRefused | CallEnded | ClassicalSuiteUsed


class Settle(msgspec.Struct, frozen=True):
    """Asks to wait until another call may be let in; answered by Done, or Refused."""


class Batched(msgspec.Struct, frozen=True):
    """What became of a batch of signatures."""

    event: BatchEvent


class TicketKeyTold(msgspec.Struct, frozen=True):
    """What became of a ticket key."""

    event: TicketKeyEvent


class Told(msgspec.Struct, frozen=True):
    """What the worker carries, and now and then all that it has counted."""

    load: Load
    metrics: Snapshot | None = None


# Both ways.


class Cancel(msgspec.Struct, frozen=True):
    """Whoever asked the question of this number is gone."""


class Done(msgspec.Struct, frozen=True):
    """It was done; `calls` ended by it."""

    calls: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A node's answer, as msgpack, which may hold a secret: whoever reads or writes it overwrites it."""

    node: str
    fields: bytes


class Refused(msgspec.Struct, frozen=True):
    """It was not done: an error by its name, and a line for people."""

    kind: str
    text: str

    def to_error(self) -> SottovoceError:
        """Give the error that this stands for."""
        return _ERRORS.get(self.kind, WorkerFault)(self.text)


class WorkerFault(SottovoceError):
    """The other end of a desk could not do what it was asked."""


def refusal_of(error: SottovoceError) -> Refused:
    """Describe an error."""
    name = type(error).__name__
    return Refused(name if name in _ERRORS else WorkerFault.__name__, str(error))


_ERRORS: dict[str, type[HsmError] | type[AuditFailed]] = {
    kind.__name__: kind
    for kind in (
        AuditFailed,
        HsmBusy,
        HsmSealed,
        HsmTimeout,
        HsmUnavailable,
        HsmWrongPin,
        KeyAbsent,
        KeyMissing,
        ModuleUnusable,
        OperationRefused,
        PinUnreadable,
        QuorumMissing,
        SealedSeedInvalid,
        TokenLost,
        TokenMissing,
        TokenProcessFailed,
    )
}
"""The errors that cross as what they are; any other is a WorkerFault with its text."""

KINDS: Final[dict[str, type[msgspec.Struct]]] = {
    kind.__name__: kind
    for kind in (
        *(
            Welcome,
            Places,
            Leaf,
            Voice,
            TicketKeys,
            Sealed,
            Prepare,
            Commit,
            Clients,
            Recheck,
            Drain,
            Retire,
            Pause,
            Resume,
        ),
        *(Ready, Failed, Ask, Note, Settle, Batched, TicketKeyTold, Told),
        *(Cancel, Done, Answer, Refused),
    )
}
ANSWERS: Final = (Done, Answer, Refused)


def decode_body(kind: type[Message], body: msgspec.Raw | bytes) -> Message:
    """Read a message; secrets in it are its reader's to wipe, and so is `body`.  Raises DeskBroken."""
    try:
        return msgspec.msgpack.decode(body, type=kind, dec_hook=take_secret)
    except (msgspec.DecodeError, NotImplementedError, UnicodeDecodeError, RecursionError):
        text = f"what came over a desk as {kind.__name__} is none"
        raise DeskBroken(text) from None
