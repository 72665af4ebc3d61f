"""A token process for these tests: the token's own keys are made with it, then it does what is asked with others."""

import ctypes
import sys
from collections.abc import Iterable

import msgspec

from sottovoce.hsm import Counts, Handler, KeyName, Operation, SealedSeed, Start, Worker, run_token_process
from sottovoce.hsm.operations import key_handlers, key_making_handlers
from sottovoce.hsm.trials import trial_handlers
from sottovoce.primitives import SignatureAlgorithm


class MakeOwnKeys(msgspec.Struct, frozen=True):
    pass


class OwnKeys(msgspec.Struct, frozen=True):
    sealed: SealedSeed


class OpenSeed(msgspec.Struct, frozen=True):
    sealed: SealedSeed


class OpenedSeed(msgspec.Struct, frozen=True):
    length: int


class OwnSignature(msgspec.Struct, frozen=True):
    """Signs with the serving key: `sign` verifies it."""


class DropSessions(msgspec.Struct, frozen=True):
    """Has the token do as one that restarts: every session is gone, and the login with them."""


class Nothing(msgspec.Struct, frozen=True):
    pass


MAKE_OWN_KEYS = Operation("make_own_keys", MakeOwnKeys, OwnKeys, is_idempotent=False, answer_seconds=60)
OPEN_SEED = Operation("open_seed", OpenSeed, OpenedSeed)
OWN_SIGNATURE = Operation("own_signature", OwnSignature, Nothing)
DROP_SESSIONS = Operation("drop_sessions", DropSessions, Nothing)
_CLOSE_ALL_SESSIONS = 14
"""Its place in CK_FUNCTION_LIST."""


def compose(_: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    def make_own_keys(worker: Worker, _: MakeOwnKeys) -> OwnKeys:
        for name in (KeyName.ANCHOR, KeyName.SERVING, KeyName.ROOT_CA, KeyName.ISSUING_CA):
            worker.generate_signing_key(name)
        worker.generate_kek()
        return OwnKeys(worker.new_sealed_seed("serving", SignatureAlgorithm.MLDSA65))

    def open_seed(worker: Worker, question: OpenSeed) -> OpenedSeed:
        with worker.open_seed(question.sealed) as seed:
            return OpenedSeed(len(seed))

    def own_signature(worker: Worker, _: OwnSignature) -> Nothing:
        worker.sign(KeyName.SERVING, b"own")
        return Nothing()

    def drop_sessions(worker: Worker, _: DropSessions) -> Nothing:
        table = ctypes.c_void_p()
        assert ctypes.CDLL(start.module).C_GetFunctionList(ctypes.byref(table)) == 0
        functions = ctypes.c_void_p.from_address((table.value or 0) + 8 * (1 + _CLOSE_ALL_SESSIONS))
        close = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_ulong)(functions.value or 0)
        slots = [token.slot.slot_id for token in worker.module.library.get_tokens() if token.label == start.token]
        assert [close(slot) for slot in slots] == [0]
        return Nothing()

    if start.create:
        return [Handler(MAKE_OWN_KEYS, make_own_keys)]
    own = (Handler(OPEN_SEED, open_seed), Handler(OWN_SIGNATURE, own_signature), Handler(DROP_SESSIONS, drop_sessions))
    return [*own, *trial_handlers(), *key_handlers(counts), *key_making_handlers(counts)]


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
