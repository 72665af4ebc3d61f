"""What the proxy and its token process say to each other.  Pure: bytes in, structs out.

A frame is `length u32 ‖ msgpack`.  The first frame from the proxy is `Start`, the first answer `Started`; after that
there are `Request`s and `Reply`s, matched by an id, answered in any order.  An `Operation` names one kind of request
with the shapes of question and answer; packages above declare their own.  Neither PIN nor seed crosses: `Start` names
the PIN's place, which the token process reads itself.

A question or an answer may hold a `Secret`: it crosses as its bytes, and both ends overwrite what it was in on the way.
So every frame is overwritten; it costs less than to tell them apart.  The token process wipes its own copy as well, the
proxy's is its owner's.
"""

from typing import Generic, TypeVar

import msgspec

from sottovoce.hsm.config import ONLY_NODE
from sottovoce.hsm.errors import KINDS, HsmError, OperationRefused, TokenProcessFailed
from sottovoce.primitives import Secret, SottovoceError, lend_secret, take_secret, wipe_bytes

MAX_FRAME_BYTES = 1 << 20
"""Chosen: the largest answer is a set of new keys and certificates, some 30 KiB."""

_LENGTH_BYTES = 4

Question = TypeVar("Question", bound=msgspec.Struct)
Answer = TypeVar("Answer", bound=msgspec.Struct)
Message = TypeVar("Message", bound=msgspec.Struct)


class Operation(Generic[Question, Answer]):
    """One kind of request to a token process."""

    __slots__ = ("answer_seconds", "answer_type", "is_idempotent", "name", "question_type")

    def __init__(
        self,
        name: str,
        question_type: type[Question],
        answer_type: type[Answer],
        *,
        is_idempotent: bool = True,
        answer_seconds: float | None = None,
    ) -> None:
        """Declare an operation.

        One that is idempotent is sent again when the process dies under it.  `answer_seconds` replaces the
        configuration's limit for work that takes longer; such work never stands before what is quick.
        """
        self.name = name
        self.question_type = question_type
        self.answer_type = answer_type
        self.is_idempotent = is_idempotent
        self.answer_seconds = answer_seconds

    @property
    def is_long(self) -> bool:
        """Whether it may take longer than most."""
        return self.answer_seconds is not None


class Start(msgspec.Struct, frozen=True):
    """The first frame: which token, and the files that the handlers read at their start."""

    module: str
    token: str
    pin_source: str
    """Where the user PIN is: a path, or what `vendors.parse_pin_source` reads."""
    create: bool
    files: dict[str, str]
    change_keys: bool = False
    """Whether keys may be made and destroyed in a token that is there."""
    node: str = ONLY_NODE
    """The name that the configuration has for it."""
    module_arguments: str = ""
    """What the library is told when it is initialised; empty: nothing."""
    vendor: str = ""
    """Whose PIN it has to look like; empty: nobody's."""
    uri: str = ""
    """What else is so of the token beside its label (RFC 7512); empty: nothing."""
    at_once: int = 1
    """How many calls are answered at the same time, those that are long not counted."""


class Failure(msgspec.Struct, frozen=True):
    """An error on its way: a name out of `errors.KINDS` and a line for people."""

    kind: str
    text: str

    def to_error(self) -> HsmError:
        """Give the error that this stands for."""
        return KINDS.get(self.kind, TokenProcessFailed)(self.text)


def failure_from(error: Exception) -> Failure:
    """Describe an error without a value of ours in it."""
    if isinstance(error, SottovoceError):
        name = type(error).__name__
        return Failure(name if name in KINDS else OperationRefused.__name__, str(error))
    trace, place = error.__traceback__, "an unknown place"
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return Failure(TokenProcessFailed.__name__, f"{type(error).__name__} at {place}")


class Started(msgspec.Struct, frozen=True):
    """The answer to `Start`."""

    pid: int
    failure: Failure | None = None


class Request(msgspec.Struct, frozen=True):
    """A question with its number; `fields` is the question's own msgpack."""

    id: int
    operation: str
    fields: msgspec.Raw


class Renewals(msgspec.Struct, frozen=True):
    """What a token process had to do beside its work, since it started."""

    sessions: int = 0
    """Sessions that the token had dropped, and that were opened again."""
    logins: int = 0
    """Logins that the token had forgotten, and that were done again."""
    keys: int = 0
    """Keys that were looked up: by each session the first time, and again behind what was renewed."""

    def __add__(self, other: "Renewals") -> "Renewals":
        """Give both together."""
        return Renewals(self.sessions + other.sessions, self.logins + other.logins, self.keys + other.keys)


class Reply(msgspec.Struct, frozen=True):
    """The answer to the request of the same number: a failure, or the answer's own msgpack."""

    id: int
    fields: msgspec.Raw = msgspec.Raw(b"\xc0")
    failure: Failure | None = None
    renewals: Renewals = Renewals()
    """All so far."""


def encode_question(question: msgspec.Struct) -> bytes:
    """Encode what a handler is asked; the secrets in it stay the caller's, who overwrites this once it is sent."""
    return msgspec.msgpack.encode(question, enc_hook=lend_secret)


def decode_question(fields: msgspec.Raw, kind: type[Message]) -> Message:
    """Read a question; `wipe_secrets` is for when it is answered."""
    return msgspec.msgpack.decode(fields, type=kind, dec_hook=take_secret)


def wipe_secrets(message: msgspec.Struct) -> None:
    """Wipe the secrets among the fields of a question or an answer."""
    for value in msgspec.structs.astuple(message):
        if isinstance(value, Secret):
            value.wipe()


def encode_answer(answer: msgspec.Struct) -> bytes:
    """Encode what a handler answers, and wipe the secrets in it."""
    try:
        return msgspec.msgpack.encode(answer, enc_hook=lend_secret)
    finally:
        wipe_secrets(answer)


def decode_answer(fields: msgspec.Raw, kind: type[Message]) -> Message:
    """Read an answer; a secret in it is its reader's to wipe, `fields` are the caller's.

    Raises TokenProcessFailed where it is none of that kind; what it is instead may be secret.
    """
    try:
        return msgspec.msgpack.decode(fields, type=kind, dec_hook=take_secret)
    except (msgspec.DecodeError, NotImplementedError, UnicodeDecodeError, RecursionError):
        text = f"the token process answered with something that is no {kind.__name__}"
        raise TokenProcessFailed(text) from None


def encode_frame(message: msgspec.Struct) -> bytes:
    """Make a frame of a message."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        text = f"{type(message).__name__} of {len(body)} bytes is larger than a frame may be"
        raise OperationRefused(text)
    try:
        return len(body).to_bytes(_LENGTH_BYTES) + body
    finally:
        wipe_bytes(body)


def decode_message(body: bytes, kind: type[Message]) -> Message:
    """Read a frame's body.  Raises TokenProcessFailed when the other end speaks something else."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = f"the token process sent no {kind.__name__}: {error}"
        raise TokenProcessFailed(text) from None


class FrameReader:
    """Cuts a stream into the bodies of frames."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes as they come; give the bodies that are complete, and overwrite them here.

        Raises TokenProcessFailed on a huge one.
        """
        self._buffer += data
        bodies: list[bytes] = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES])
            if length > MAX_FRAME_BYTES:
                text = f"the token process announced a frame of {length} bytes"
                raise TokenProcessFailed(text)
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            with memoryview(self._buffer) as view:
                bodies.append(bytes(view[_LENGTH_BYTES:end]))
                view[:end] = bytes(end)
            del self._buffer[:end]
        return bodies


class Probe(msgspec.Struct, frozen=True):
    """Ask for proof of life: sign and verify with the key that is in use."""


class ProbeAnswer(msgspec.Struct, frozen=True):
    """The proof held."""


class Status(msgspec.Struct, frozen=True):
    """Ask what the process has done so far."""


class StatusAnswer(msgspec.Struct, frozen=True):
    """What the process has done since it started: `counts` by name, e.g. `roots_signed.server_verify`."""

    pid: int
    uptime_seconds: float
    counts: dict[str, int]


PROBE = Operation("probe", Probe, ProbeAnswer)
STATUS = Operation("status", Status, StatusAnswer)
