"""The token process of `token_child`, with more to ask for: single keys, and work by each of the worker's ways."""

import os
import sys
from collections.abc import Iterable

import msgspec

from sottovoce.hsm import Counts, Handler, Operation, Start, Worker, run_token_process
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

    yield from token_child.compose(worker, start, counts)
    yield from (Handler(PUBLIC_KEY, public_key), Handler(SIGN_WITH, sign_with), Handler(ROUND_TRIP, round_trip))
    yield from (Handler(GENERATE, generate), Handler(DESTROY, destroy))


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
