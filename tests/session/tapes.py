"""What a transcript is made of: values as JSON, and the answers that a session was given, to be given again."""

import base64
from typing import Any

import msgspec

from sottovoce.primitives import Group, Kem, KeyShare, PublicKey, Secret, SignatureAlgorithm, Signer, Suite
from sottovoce.session import (
    Carriage,
    ClientTicket,
    Identity,
    Proof,
    SealedTicket,
    ShownCredential,
    TicketState,
)
from sottovoce.wire import Code

Json = dict[str, Any]
_FOR_PEOPLE = frozenset({"reason"})


def plain(value: Any) -> Any:
    """Anything of a session as JSON: bytes and secrets in base64, structs as objects."""
    match value:
        case Secret():
            return plain(bytes(value.expose()))
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case PublicKey():
            return plain(value.encoded)
        case bool() | None | str() | float():
            return value
        case int():
            return int(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case msgspec.Struct():
            names = [name for name in value.__struct_fields__ if name not in _FOR_PEOPLE]
            return {"is": type(value).__name__} | {name: plain(getattr(value, name)) for name in names}
        case _:
            raise TypeError(type(value))


def unplain(text: str) -> bytes:
    return base64.b64decode(text)


def agrees(now: Any, recorded: Any) -> bool:
    """Whether what came of a step is what was written down; an object may have learned more."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        return all(name in now and agrees(now[name], value) for name, value in recorded.items())
    if isinstance(recorded, list) and isinstance(now, list):
        return len(now) == len(recorded) and all(map(agrees, now, recorded))
    return now == recorded


class Tape:
    """Answers of one part, in the order they were given: written down, or given again."""

    def __init__(self, answers: list[Any], *, is_recording: bool) -> None:
        self.answers = answers
        self.is_recording = is_recording
        self._next = 0

    def next(self, question: Json) -> Json:
        """The next answer, which must be that of the same question."""
        answer = self.answers[self._next]
        self._next += 1
        assert agrees(question, answer["asked"]), (question, answer["asked"])
        return answer["answer"]

    def keep(self, question: Json, answer: Json) -> None:
        self.answers.append({"asked": question, "answer": answer})

    @property
    def is_at_end(self) -> bool:
        return self.is_recording or self._next == len(self.answers)


class TapedEntropy:
    """Chance."""

    def __init__(self, tape: Tape, inner: Any = None) -> None:
        self.tape, self.inner = tape, inner

    def random(self, length_bytes: int) -> bytes:
        question = {"bytes": length_bytes}
        if self.tape.is_recording:
            self.tape.keep(question, {"drawn": plain(self.inner.random(length_bytes))})
            return unplain(self.tape.answers[-1]["answer"]["drawn"])
        return unplain(self.tape.next(question)["drawn"])


class _TapedShare:
    """A client's share, with its private part on the tape."""

    def __init__(self, tape: Tape, group: Group, public: bytes, inner: KeyShare | None) -> None:
        self.tape, self.group, self.public, self.inner = tape, group, public, inner

    def finish(self, server_share: bytes) -> Secret:
        question = {"group": int(self.group), "public": plain(self.public), "server_share": plain(server_share)}
        if self.inner is None:
            return Secret("hybrid", unplain(self.tape.next(question)["secret"]))
        secret = self.inner.finish(server_share)
        self.tape.keep(question, {"secret": plain(secret)})
        return secret

    def erase(self) -> None:
        if self.inner is not None:
            self.inner.erase()


class TapedKem:
    """Key agreement."""

    def __init__(self, tape: Tape, inner: Kem | None = None) -> None:
        self.tape, self.inner = tape, inner

    def generate(self, group: Group) -> KeyShare:
        question = {"group": int(group)}
        if self.inner is None:
            return _TapedShare(self.tape, group, unplain(self.tape.next(question)["public"]), None)
        share = self.inner.generate(group)
        self.tape.keep(question, {"public": plain(share.public)})
        return _TapedShare(self.tape, group, share.public, share)

    def encapsulate(self, group: Group, client_share: bytes) -> tuple[bytes, Secret]:
        question = {"group": int(group), "client_share": plain(client_share)}
        if self.inner is None:
            answer = self.tape.next(question)
            return unplain(answer["share"]), Secret("hybrid", unplain(answer["secret"]))
        share, secret = self.inner.encapsulate(group, client_share)
        self.tape.keep(question, {"share": plain(share), "secret": plain(secret)})
        return share, secret


class TapedSigner:
    """A client's signing key."""

    def __init__(self, tape: Tape, public_key: PublicKey, inner: Signer | None = None) -> None:
        self.tape, self.public_key, self.inner = tape, public_key, inner
        self.algorithm = public_key.algorithm

    def sign(self, message: bytes) -> bytes:
        question = {"message": plain(message)}
        if self.inner is None:
            return unplain(self.tape.next(question)["signature"])
        self.tape.keep(question, {"signature": plain(self.inner.sign(message))})
        return unplain(self.tape.answers[-1]["answer"]["signature"])


class TapedBox:
    """What seals the server's tickets."""

    def __init__(self, tape: Tape, inner: Any = None) -> None:
        self.tape, self.inner = tape, inner

    def seal(self, state: TicketState, wall: float) -> SealedTicket | None:
        question = {"seal": plain(state), "wall": wall}
        if self.inner is not None:
            self.tape.keep(question, {"sealed": plain(self.inner.seal(state, wall))})
        answer = (self.tape.answers[-1]["answer"] if self.inner is not None else self.tape.next(question))["sealed"]
        return answer and SealedTicket(unplain(answer["ticket"]), answer["lifetime_seconds"])

    def open(self, ticket: bytes, authority: bytes, path: bytes, wall: float) -> TicketState | None:
        question = {"open": plain(ticket), "authority": plain(authority), "path": plain(path), "wall": wall}
        if self.inner is not None:
            found = self.inner.open(ticket, authority, path, wall)
            self.tape.keep(question, {"state": plain(found)})
            return found
        state = self.tape.next(question)["state"]
        return state and made_ticket_state(state)

    def spend(self, ticket: bytes) -> bool:
        question = {"spend": plain(ticket)}
        if self.inner is not None:
            self.tape.keep(question, {"is_first": self.inner.spend(ticket)})
            return bool(self.tape.answers[-1]["answer"]["is_first"])
        return bool(self.tape.next(question)["is_first"])


class TapedCredentials:
    """The judge of credentials: one verdict for the whole session; None is a late one."""

    def __init__(self, verdict: Any) -> None:
        self.verdict = verdict

    def check(self, shown: ShownCredential) -> Identity | Code | None:
        return made_verdict(self.verdict)

    def judge(self, shown: ShownCredential) -> Identity | Code:
        return made_verdict(self.verdict) or Code.AUTH_FAILED

    def still_holds(self, identity: Identity, authority: bytes, path: bytes) -> bool:
        return True


# From JSON back to what sessions take.


def made_identity(fields: Json) -> Identity:
    return Identity(fields["name"], fields["expires_at"], fields["kind"], fields["credential"])


def made_verdict(verdict: Any) -> Identity | Code | None:
    return made_identity(verdict) if isinstance(verdict, dict) else None if verdict is None else Code(verdict)


def made_ticket_state(fields: Json) -> TicketState:
    blobs = ("authority", "path", "anchor_id", "certificate_sha384", "peer_certificate_sha256")
    made: Json = {name: unplain(value) if name in blobs else value for name, value in fields.items() if name != "is"}
    made |= {"psk": Secret("psk", unplain(fields["psk"])), "suite": Suite(fields["suite"])}
    made["identity"] = made_identity(fields["identity"])
    return TicketState(**made)


def made_ticket(fields: Json) -> ClientTicket:
    blobs = ("ticket", "authority", "path", "certificate")
    made: Json = {name: unplain(value) if name in blobs else value for name, value in fields.items() if name != "is"}
    return ClientTicket(**(made | {"psk": Secret("psk", unplain(fields["psk"])), "suite": Suite(fields["suite"])}))


def made_public_key(text: str) -> PublicKey:
    encoded = unplain(text)
    return PublicKey(SignatureAlgorithm(int.from_bytes(encoded[:2])), encoded[2:])


def made_proof(fields: Json) -> Proof:
    return Proof(
        path=tuple(map(unplain, fields["path"])),
        directions=tuple(fields["directions"]),
        root=unplain(fields["root"]),
        classical=unplain(fields["classical"]),
        pq=None if fields["pq"] is None else unplain(fields["pq"]),
    )


def made_carriage(fields: Json) -> Carriage:
    blobs = ("binding", "authority", "path", "peer_certificate")
    made: Json = {
        name: unplain(value) if name in blobs and value is not None else value for name, value in fields.items()
    }
    made.pop("is")
    return Carriage(**made)
