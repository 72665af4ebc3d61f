"""What answers them, inside the token process.

Two sets: one that uses keys, and one that makes and destroys them, for whichever process may.  Neither reaches the keys
that the token process has for itself: labels are in a namespace of their own.
"""

from collections.abc import Iterable

import pkcs11

from sottovoce.hsm.errors import OperationRefused
from sottovoce.hsm.kinds import KeyUse, TokenHealth
from sottovoce.hsm.operations.messages import (
    DECRYPT,
    DERIVE,
    DESTROY,
    ENCRYPT,
    EXPORT,
    FIND,
    GENERATE,
    HEALTH,
    IMPORT,
    PROVE,
    RANDOM,
    SIGN,
    UNWRAP,
    VERIFY,
    WRAP,
    Decrypt,
    Decrypted,
    Derive,
    Derived,
    Destroy,
    Destroyed,
    Encrypt,
    Encrypted,
    Export,
    Exported,
    Find,
    Found,
    Generate,
    Health,
    Import,
    Made,
    Prove,
    Proved,
    Random,
    Randomness,
    Sign,
    Signed,
    Unwrap,
    Verified,
    Verify,
    Wrap,
    Wrapped,
)
from sottovoce.hsm.process import Counts, Handler, Worker, keys

MAX_RANDOM_BYTES = 4096


def key_handlers(counts: Counts) -> Iterable[Handler]:
    """Give the answerers that use keys."""

    def sign(worker: Worker, question: Sign) -> Signed:
        counts.add("key_signatures")
        if keys.look_at(worker, question.label).kind.use is KeyUse.AUTHENTICATE:
            return Signed(keys.authenticate(worker, question.label, question.message))
        return Signed(keys.sign(worker, question.label, question.message))

    return (
        Handler(SIGN, sign),
        Handler(VERIFY, _verify),
        Handler(ENCRYPT, _encrypt),
        Handler(DECRYPT, _decrypt),
        Handler(WRAP, _wrap),
        Handler(DERIVE, _derive),
        Handler(EXPORT, _export),
        Handler(PROVE, _prove),
        Handler(FIND, _find),
        Handler(RANDOM, _random),
        Handler(HEALTH, _health),
    )


def key_making_handlers(counts: Counts) -> Iterable[Handler]:
    """Give the answerers that make and destroy keys."""

    def generate(worker: Worker, question: Generate) -> Made:
        counts.add("keys_made")
        return Made(
            keys.make_key(worker, question.new, lambda session: keys.generate(session, question.new), keys.prove)
        )

    def import_(worker: Worker, question: Import) -> Made:
        counts.add("keys_made")

        def make(session: pkcs11.Session) -> None:
            keys.import_secret(worker, session, question.new, question.value)

        return Made(keys.make_key(worker, question.new, make, keys.prove))

    def unwrap(worker: Worker, question: Unwrap) -> Made:
        counts.add("keys_made")
        return Made(keys.unwrap(worker, question.label, question.wrapped, question.new, keys.prove))

    def destroy(worker: Worker, question: Destroy) -> Destroyed:
        counts.add("keys_destroyed")
        return Destroyed(keys.destroy_key(worker, question.label))

    return Handler(GENERATE, generate), Handler(IMPORT, import_), Handler(UNWRAP, unwrap), Handler(DESTROY, destroy)


def _verify(worker: Worker, question: Verify) -> Verified:
    if keys.look_at(worker, question.label).kind.use is KeyUse.AUTHENTICATE:
        return Verified(keys.check_code(worker, question.label, question.message, question.signature))
    return Verified(keys.verify(worker, question.label, question.message, question.signature))


def _encrypt(worker: Worker, question: Encrypt) -> Encrypted:
    return Encrypted(*keys.seal(worker, question.label, question.content, question.associated_data))


def _decrypt(worker: Worker, question: Decrypt) -> Decrypted:
    sealed = (question.nonce, question.sealed, question.associated_data)
    return Decrypted(keys.open_sealed(worker, question.label, *sealed))


def _wrap(worker: Worker, question: Wrap) -> Wrapped:
    return Wrapped(keys.wrap(worker, question.label, question.target, question.mechanism))


def _derive(worker: Worker, question: Derive) -> Derived:
    return Derived(keys.agree(worker, question.label, question.peer))


def _export(worker: Worker, question: Export) -> Exported:
    return Exported(keys.look_at(worker, question.label))


def _prove(worker: Worker, question: Prove) -> Proved:
    keys.prove(worker, question.label)
    return Proved()


def _find(worker: Worker, question: Find) -> Found:
    return Found(tuple(keys.list_keys(worker, question.prefix)))


def _random(worker: Worker, question: Random) -> Randomness:
    if not 0 < question.length_bytes <= MAX_RANDOM_BYTES:
        raise OperationRefused(f"1 to {MAX_RANDOM_BYTES} random bytes may be asked for")
    return Randomness(keys.random(worker, question.length_bytes))


def _health(worker: Worker, _: Health) -> TokenHealth:
    return keys.describe_token(worker)
