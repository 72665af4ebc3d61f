"""The token process as it is run, `python -m sottovoce.app.token_process FD PPID`: handlers of `identity` and `pki`.

Asked to create a token it does that instead: one operation makes every key, all different, and the CA's certificates.
Asked to change keys, it makes, proves and destroys anchors, and issues nothing.
What leaves is public, or sealed under the token's own key.
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sottovoce.hsm import Counts, Handler, KeyName, Operation, SealedSeed, Start, Worker, run_token_process
from sottovoce.identity import (
    ANCHOR_ALGORITHM,
    ANCHOR_PURPOSE,
    SERVING_ALGORITHM,
    SERVING_PURPOSE,
    anchor_handlers,
    identity_handlers,
    open_signer,
    ticket_handlers,
)
from sottovoce.pki import CaCertificates, leaf_handler, make_ca_certificates
from sottovoce.primitives import PublicKey, SignatureAlgorithm

COMMAND = (sys.executable, "-P", "-m", "sottovoce.app.token_process")
"""How `open_token` starts this process.  -P: nothing is imported from the directory in which the proxy was started."""
_CREATE_SECONDS = 60.0
_SIGNING_KEYS = (KeyName.ANCHOR, KeyName.SERVING, KeyName.ROOT_CA, KeyName.ISSUING_CA)


class CreateKeys(msgspec.Struct, frozen=True):
    """Make all keys of a new token."""


class SealedKey(msgspec.Struct, frozen=True):
    """An ML-DSA key: its public half, and its seed under the token's KEK."""

    public_key: PublicKey
    seed: SealedSeed


class CreatedKeys(msgspec.Struct, frozen=True):
    """What was made: P-384 keys by their name in the token, the ML-DSA keys, the CA's certificates (DER)."""

    signing: dict[str, PublicKey]
    anchor: SealedKey
    serving: SealedKey
    certificates: CaCertificates


CREATE_KEYS = Operation("create_keys", CreateKeys, CreatedKeys, is_idempotent=False, answer_seconds=_CREATE_SECONDS)


def compose(worker: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    """Set up what this process answers."""
    if start.create:
        return [Handler(CREATE_KEYS, _create_keys)]
    if start.change_keys:
        return anchor_handlers(start)
    return [
        *identity_handlers(worker, start, counts),
        *ticket_handlers(counts),
        leaf_handler(worker, start, counts),
    ]


def _create_keys(worker: Worker, _: CreateKeys) -> CreatedKeys:
    signing = {str(name): worker.generate_signing_key(name) for name in _SIGNING_KEYS}
    worker.generate_kek()
    return CreatedKeys(
        signing=signing,
        anchor=_new_sealed_key(worker, ANCHOR_PURPOSE, ANCHOR_ALGORITHM),
        serving=_new_sealed_key(worker, SERVING_PURPOSE, SERVING_ALGORITHM),
        certificates=make_ca_certificates(worker, time.time()),
    )


def _new_sealed_key(worker: Worker, purpose: str, algorithm: SignatureAlgorithm) -> SealedKey:
    """Make a seed, and open it once: that gives its public key and shows that it can be opened."""
    seed = worker.new_sealed_seed(purpose, algorithm)
    return SealedKey(open_signer(worker, seed, Path("just made")).public_key, seed)


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
