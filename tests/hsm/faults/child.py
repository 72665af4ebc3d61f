"""The token process of `token_child`, with more to ask for: single keys, and work by each of the worker's ways."""

import os
import sys
from collections.abc import Iterable

import msgspec
import pkcs11

from sottovoce.hsm import Counts, Handler, Operation, Start, Worker, run_token_process
from sottovoce.hsm.process.faults import cure_of
from tests.hsm import token_child
from tests.hsm.token_child import Nothing


class Named(msgspec.Struct, frozen=True):
    name: str


class Made(msgspec.Struct, frozen=True):
    data: bytes


PUBLIC_KEY = Operation("public_key", Named, Made)
SIGN_WITH = Operation("sign_with", Named, Made)
GENERATE = Operation("generate", Named, Made, is_idempotent=False)
DESTROY = Operation("destroy", Named, Nothing, is_idempotent=False)
LIST_SLOTS = Operation("list_slots", Nothing, Named)
"""Have the library call C_GetSlotList; give the class that it raises, and what its cure is."""
ROUND_TRIP = Operation("round_trip", Nothing, Made)
"""Wrap a new key of the token's random bytes, and open it: C_GenerateRandom, C_Encrypt, C_Decrypt."""


def compose(worker: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    def public_key(worker: Worker, question: Named) -> Made:
        return Made(worker.public_key(question.name).key)

    def sign_with(worker: Worker, question: Named) -> Made:
        return Made(worker.sign(question.name, os.urandom(8)))

    def generate(worker: Worker, question: Named) -> Made:
        return Made(worker.generate_signing_key(question.name).key)

    def destroy(worker: Worker, question: Named) -> Nothing:
        worker.destroy_signing_key(question.name)
        return Nothing()

    def round_trip(worker: Worker, _: Nothing) -> Made:
        wrapped = worker.new_wrapped_key("test")
        with worker.open_key(wrapped):
            return Made(wrapped.sealed)

    def list_slots(worker: Worker, _: Nothing) -> Named:
        try:
            worker.module.library.get_slots()
        except pkcs11.PKCS11Error as error:
            return Named(f"{type(error).__name__} {cure_of(error).name}")
        return Named("")

    yield from token_child.compose(worker, start, counts)
    yield from (Handler(PUBLIC_KEY, public_key), Handler(SIGN_WITH, sign_with), Handler(ROUND_TRIP, round_trip))
    yield from (Handler(GENERATE, generate), Handler(DESTROY, destroy), Handler(LIST_SLOTS, list_slots))


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
