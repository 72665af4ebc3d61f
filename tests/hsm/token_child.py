"""A token process for the tests of `hsm`: its loop, with handlers that make keys and use them."""

import ctypes
import os
import resource
import sys
import time
from collections.abc import Iterable

import msgspec

from sottovoce.hsm import (
    Counts,
    Handler,
    KeyName,
    Operation,
    SealedSeed,
    Start,
    TokenLost,
    Worker,
    run_token_process,
)
from sottovoce.primitives import PublicKey, SignatureAlgorithm


class Nothing(msgspec.Struct, frozen=True):
    pass


class Keys(msgspec.Struct, frozen=True):
    public_keys: dict[str, bytes]
    sealed: SealedSeed


class Sign(msgspec.Struct, frozen=True):
    text: str
    delay_seconds: float = 0.0


class Signature(msgspec.Struct, frozen=True):
    public_key: PublicKey
    signature: bytes
    pid: int


class Open(msgspec.Struct, frozen=True):
    sealed: SealedSeed
    forget: bool = True


class Opened(msgspec.Struct, frozen=True):
    length: int
    public_key: bytes


class Self(msgspec.Struct, frozen=True):
    dumpable: int
    core_limits: tuple[int, int]


MAKE_KEYS = Operation("make_keys", Nothing, Keys, is_idempotent=False, answer_seconds=30)
SIGN = Operation("sign", Sign, Signature)
SIGN_ONCE = Operation("sign_once", Sign, Signature, is_idempotent=False)
OPEN = Operation("open", Open, Opened)
FAIL = Operation("fail", Sign, Nothing)
DIE = Operation("die", Nothing, Nothing)
LOSE = Operation("lose", Nothing, Nothing, is_idempotent=False)
DROP_SESSIONS = Operation("drop_sessions", Nothing, Nothing)
LOOK_AT_SELF = Operation("look_at_self", Nothing, Self)


def lose(_: Worker, __: Nothing) -> Nothing:
    raise TokenLost("the token is not what it was")


def compose(_: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    def make_keys(worker: Worker, _: Nothing) -> Keys:
        names = [KeyName.ANCHOR, KeyName.SERVING, KeyName.ROOT_CA, KeyName.ISSUING_CA]
        keys = {str(name): worker.generate_signing_key(name).key for name in names}
        worker.generate_kek()
        return Keys(keys, worker.new_sealed_seed("serving", SignatureAlgorithm.MLDSA65))

    def sign(worker: Worker, question: Sign) -> Signature:
        time.sleep(question.delay_seconds)
        counts.add("signed")
        signature = worker.sign(KeyName.SERVING, question.text.encode())
        return Signature(worker.public_key(KeyName.SERVING), signature, os.getpid())

    def open_(worker: Worker, question: Open) -> Opened:
        with worker.open_seed(question.sealed) as seed:
            return Opened(len(seed), os.urandom(1))

    def fail(_: Worker, question: Sign) -> Nothing:
        raise ZeroDivisionError(question.text)

    def die(_: Worker, __: Nothing) -> Nothing:
        os.abort()

    def drop_sessions(_: Worker, __: Nothing) -> Nothing:
        """What a token does that restarts: every session of this process is gone, the login with them."""
        module = ctypes.CDLL(start.module)
        slots, count = (ctypes.c_ulong * 8)(), ctypes.c_ulong(8)
        module.C_GetSlotList(1, slots, ctypes.byref(count))
        for slot in slots[: count.value]:
            module.C_CloseAllSessions(ctypes.c_ulong(slot))
        return Nothing()

    def look_at_self(_: Worker, __: Nothing) -> Self:
        return Self(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))

    yield from (Handler(DROP_SESSIONS, drop_sessions), Handler(LOOK_AT_SELF, look_at_self))
    yield from (Handler(MAKE_KEYS, make_keys), Handler(SIGN, sign), Handler(SIGN_ONCE, sign))
    yield from (Handler(OPEN, open_), Handler(FAIL, fail), Handler(DIE, die), Handler(LOSE, lose))
    if "trouble" in start.files:
        raise OSError(start.files["trouble"])


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
