"""The doctor's token process, run by `COMMAND` with FD and PPID: logs in, signs, tells public keys.

It runs on a copy of the token.  It issues nothing and signs nothing that could be used: the proof of a key is the probe
that every token process makes.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import msgspec

from sottovoce.hsm import Counts, Handler, KeyName, Operation, Start, Worker, read_sealed_seed, run_token_process
from sottovoce.identity import (
    ANCHOR_ALGORITHM,
    ANCHOR_PURPOSE,
    ANCHOR_RING,
    SERVING_ALGORITHM,
    SERVING_KEYS,
    SERVING_PURPOSE,
    SERVING_SEED,
    ServingKeys,
    issuing_anchor,
    load_serving_keys,
    open_signer,
)
from sottovoce.pki import ISSUING_CERTIFICATE, TokenKey, read_issuing_certificate
from sottovoce.primitives import PublicKey, SignatureAlgorithm, SottovoceError

_PROGRAM = "from sottovoce.app.doctor.token_child import main; main()"
"""Not `-m`: the package imports this module before it could be run as one."""
COMMAND = (sys.executable, "-P", "-c", _PROGRAM)
_LOOK_SECONDS = 30.0


class Look(msgspec.Struct, frozen=True):
    """Say what the token holds."""


class Looked(msgspec.Struct, frozen=True):
    """What is well, and a line for each thing that is not: (name of the finding, text)."""

    anchor: tuple[PublicKey, PublicKey] | None
    """The anchor's public keys, P-384 and ML-DSA-87."""
    problems: tuple[tuple[str, str], ...]


LOOK = Operation("look", Look, Looked, answer_seconds=_LOOK_SECONDS)


def compose(_: Worker, start: Start, __: Counts) -> Iterable[Handler]:
    """Set up the one operation."""

    def look(worker: Worker, _: Look) -> Looked:
        return _look(worker, start)

    return [Handler(LOOK, look)]


def _look(worker: Worker, start: Start) -> Looked:
    problems: list[tuple[str, str]] = []
    anchor: tuple[PublicKey, PublicKey] | None = None
    try:
        anchor_key, anchor_seed, _ = issuing_anchor(Path(start.files[ANCHOR_RING]))
        for name in (anchor_key, KeyName.SERVING, KeyName.ROOT_CA, KeyName.ISSUING_CA):
            worker.public_key(name)
        pq_serving = _seed(worker, Path(start.files[SERVING_SEED]), SERVING_PURPOSE, SERVING_ALGORITHM)
        problems += _unpublished(start, ServingKeys(worker.public_key(KeyName.SERVING), pq_serving))
        pq = _seed(worker, anchor_seed, ANCHOR_PURPOSE, ANCHOR_ALGORITHM)
        anchor = worker.public_key(anchor_key), pq
    except (SottovoceError, OSError) as error:
        problems.append(("keys", str(error)))
    path = Path(start.files[ISSUING_CERTIFICATE])
    try:
        if read_issuing_certificate(path).public_key() != TokenKey(worker, KeyName.ISSUING_CA).public_key():
            line = f"{path} is not the certificate of this token's issuing CA: restore both from the same backup"
            problems.append(("certificates", line))
    except SottovoceError as error:
        problems.append(("certificates", str(error)))
    return Looked(anchor, tuple(problems))


def _unpublished(start: Start, own: ServingKeys) -> list[tuple[str, str]]:
    """See that the other tokens know this one's serving keys.  Raises ServingKeysUnusable."""
    path = Path(start.files[SERVING_KEYS])
    listed = load_serving_keys(path)
    if listed is None or listed.get(start.node) == own:
        return []
    return [("keys", f"{path} holds other keys of token {start.node} than it has: restore both from the same backup")]


def _seed(worker: Worker, path: Path, purpose: str, algorithm: SignatureAlgorithm) -> PublicKey:
    sealed = read_sealed_seed(path.read_bytes(), purpose=purpose, algorithm=algorithm)
    return open_signer(worker, sealed, path).public_key


def main() -> NoReturn:
    """Be the process."""
    run_token_process(sys.argv[1:], compose)
