"""The trials, inside the token process.

What is made is a session object, which no other process sees and which is destroyed at once; nothing is written to the
token.  A result is checked by other means than the token's wherever there are such (`process.keys.proof`).
"""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import cast

import pkcs11

from sottovoce.hsm.errors import HsmError, OperationRefused, TokenLost
from sottovoce.hsm.kinds import KEY_PREFIX, KeyKind, NewKey, WrapMechanism
from sottovoce.hsm.process import Handler, Worker, keys
from sottovoce.hsm.process.faults import handle_of
from sottovoce.hsm.process.transfers import Envelope, Transfers
from sottovoce.hsm.trials.messages import GCM_NONCE, KEPT_INSIDE, RANDOM, TRY, Outcome, Tried, Try
from sottovoce.hsm.vendors import GcmNonce
from sottovoce.primitives import Cipher, Secret, seal_once

_A = pkcs11.Attribute
_NONCE_BYTES, _KEY_BYTES = 12, 32
_TEMPORARY: dict[pkcs11.Attribute, object] = {_A.PRIVATE: True, _A.SENSITIVE: True, _A.EXTRACTABLE: False}


def trial_handlers() -> Iterable[Handler]:
    """Give the answerer."""
    return (Handler(TRY, _try),)


def _try(worker: Worker, question: Try) -> Tried:
    trials: dict[str, Callable[[Worker], Tried]] = {
        RANDOM: _random,
        KEPT_INSIDE: _kept_inside,
        GCM_NONCE: _gcm_nonce,
        **{str(kind): _of_kind(kind) for kind in KeyKind},
        **{str(mechanism): _of_wrapping(mechanism) for mechanism in WrapMechanism},
    }
    trial = trials.get(question.what)
    if trial is None:
        raise OperationRefused(f"{question.what!a} is nothing that can be tried")
    try:
        return trial(worker)
    except HsmError as error:
        return Tried(Outcome.FAILS, reason=str(error))


def _random(worker: Worker) -> Tried:
    with keys.random(worker, _KEY_BYTES) as first, keys.random(worker, _KEY_BYTES) as second:
        if first == second:
            raise TokenLost("the token's random generator gives the same twice")
    return Tried(Outcome.WORKS)


def _of_kind(kind: KeyKind) -> Callable[[Worker], Tried]:
    def trial(worker: Worker) -> Tried:
        if kind not in worker.attempt(keys.supported_kinds):
            return Tried(Outcome.ABSENT)
        with _made_for_trial(worker, kind) as label:
            keys.prove(worker, label)
        return Tried(Outcome.WORKS)

    return trial


def _of_wrapping(mechanism: WrapMechanism) -> Callable[[Worker], Tried]:
    def trial(worker: Worker) -> Tried:
        number = keys.wrap_number(worker, mechanism)
        return Tried(Outcome.ABSENT) if number is None else Tried(Outcome.WORKS, f"0x{number:04X}")

    return trial


def _kept_inside(worker: Worker) -> Tried:
    """See that a key which is not to leave cannot be read."""

    def read(session: pkcs11.Session) -> Tried:
        (key,) = list(session.get_objects({_A.LABEL: label}))
        with suppress(pkcs11.AttributeSensitive, pkcs11.AttributeTypeInvalid):
            if key[_A.VALUE]:
                return Tried(Outcome.FAILS, reason="the token hands out a key that is not to leave it")
        return Tried(Outcome.WORKS)

    with _made_for_trial(worker, KeyKind.AES_256_GCM) as label:
        return worker.attempt(read)


def _gcm_nonce(worker: Worker) -> Tried:
    """Encrypt under a known key, which guards nothing, and a nonce of ours; see whether the result is of these two."""
    known = bytearray(os.urandom(_KEY_BYTES))
    envelope = Envelope(os.urandom(_NONCE_BYTES), b"sottovoce.v1 probe\x00")
    content = os.urandom(_KEY_BYTES)

    def seal(session: pkcs11.Session) -> bytes:
        transfers = Transfers(worker.module, handle_of(session))
        number = keys.create_secret(transfers, KeyKind.AES_256_GCM, _TEMPORARY, known)
        try:
            return transfers.seal_gcm(number, envelope, bytearray(content))
        finally:
            transfers.destroy_key(number)

    if KeyKind.AES_256_GCM not in worker.attempt(keys.supported_kinds):
        return Tried(Outcome.ABSENT, GcmNonce.NO_GCM)
    try:
        sealed = worker.attempt(seal)
    except OperationRefused as error:
        return Tried(Outcome.FAILS, reason=f"it could not be found out, under a key that is known: {error}")
    with Secret.take("key of a trial", bytes(known)) as key, Secret.take("nonce", envelope.nonce) as nonce:
        right = seal_once(Cipher.AES_256_GCM, key, nonce, content, envelope.associated_data)
    return Tried(Outcome.WORKS, GcmNonce.OURS if sealed == right else GcmNonce.TOKENS)


@contextmanager
def _made_for_trial(worker: Worker, kind: KeyKind) -> Generator[str]:
    """Make a key in the session, and destroy it again; gives its label."""
    label = f"{KEY_PREFIX}trial-{os.urandom(8).hex()}"

    def destroy(session: pkcs11.Session) -> None:
        for each in list(session.get_objects({_A.LABEL: label})):
            cast("pkcs11.Key", each).destroy()

    worker.attempt(lambda session: keys.generate(session, NewKey(label, kind), is_kept=False))
    try:
        yield label
    finally:
        worker.forget(label)
        worker.attempt(destroy)
