"""What a token's keys are used for, inside the token process: sign, authenticate, seal, agree (wrap: `wrapping`).

Nothing leaves unchecked: a signature was verified in software, a code was made twice, what was sealed was opened again.
A caller's bad input is refused, whatever word the token has for it: where that word could also mean that the token is
broken (SoftHSM says "general error" to a wrong tag), the key has to do its work once before the caller is blamed.
"""

import hashlib
import hmac
import os
from typing import cast

import pkcs11

from sottovoce.hsm.errors import OperationRefused, TokenLost
from sottovoce.hsm.kinds import KeyKind, KeyUse
from sottovoce.hsm.process.faults import handle_of
from sottovoce.hsm.process.keys.store import FoundKey, look_at, use_key
from sottovoce.hsm.process.transfers import DoesNotOpen, Envelope, Transfers
from sottovoce.hsm.process.worker import Worker
from sottovoce.primitives import KeyRefused, Secret, p384_point, verify_spki

NONCE_BYTES = 12
_TAG_BYTES = 16
_SHARED_BYTES = 48
_A, _M = pkcs11.Attribute, pkcs11.Mechanism
_PSS = (_M.SHA384, pkcs11.MGF.SHA384, 48)
PROBE = b"sottovoce.v1 probe\x00"
"""No label of the protocol, and chance follows it: what is signed so is good for nothing else."""
_READABLE = {_A.SENSITIVE: False, _A.EXTRACTABLE: True, _A.PRIVATE: True}


def sign(worker: Worker, label: str, message: bytes) -> bytes:
    """Sign a message as the key's kind says; the signature has been verified.  Raises KeyAbsent, OperationRefused."""

    def work(_: pkcs11.Session, found: FoundKey) -> bytes:
        return _sign(cast("pkcs11.SignMixin", found.key), found.facts.kind, message)

    signature = use_key(worker, label, KeyUse.SIGN, work)
    if not verify_spki(look_at(worker, label).public, message, signature):
        raise TokenLost(f"the token made a wrong signature with {label}")
    return signature


def verify(worker: Worker, label: str, message: bytes, signature: bytes) -> bool:
    """Whether a signature is right under the public half that the token has, by software."""
    facts = look_at(worker, label)
    if facts.kind.use is not KeyUse.SIGN:
        raise OperationRefused(f"{label} is {facts.kind}, which is not to {KeyUse.SIGN.value}")
    return verify_spki(facts.public, message, signature)


def authenticate(worker: Worker, label: str, message: bytes) -> bytes:
    """Make the code of a message, 48 bytes."""

    def work(_: pkcs11.Session, found: FoundKey) -> bytes:
        key = cast("pkcs11.SignMixin", found.key)
        codes = {key.sign(message, mechanism=_M.SHA384_HMAC) for _ in range(2)}
        if len(codes) > 1:
            raise TokenLost(f"the token made a wrong code with {label}")
        return codes.pop()

    return use_key(worker, label, KeyUse.AUTHENTICATE, work)


def check_code(worker: Worker, label: str, message: bytes, code: bytes) -> bool:
    """Whether a code is right, in constant time."""
    return hmac.compare_digest(authenticate(worker, label, message), code)


def seal(worker: Worker, label: str, content: Secret, associated_data: bytes) -> tuple[bytes, bytes]:
    """Encrypt; gives the nonce, which is 96 random bits, and `ciphertext ‖ tag`."""

    def work(session: pkcs11.Session, found: FoundKey) -> tuple[bytes, bytes]:
        transfers, key = Transfers(worker.module, handle_of(session)), handle_of(found.key)
        envelope = Envelope(os.urandom(NONCE_BYTES), associated_data)
        sealed = transfers.seal_gcm(key, envelope, content.expose())
        with Secret.blank("opened again", len(content)) as opened:
            try:
                transfers.open_gcm(key, envelope, sealed, opened.expose())
            except DoesNotOpen:
                opened.wipe()
            if opened != content or len(sealed) != len(content) + _TAG_BYTES:
                raise TokenLost(f"what the token sealed with {label} does not open")
        return envelope.nonce, sealed

    return use_key(worker, label, KeyUse.SEAL, work)


def open_sealed(worker: Worker, label: str, nonce: bytes, sealed: bytes, associated_data: bytes) -> Secret:
    """Decrypt; the caller wipes it.  Raises OperationRefused when it was not sealed so by this key."""
    if len(nonce) != NONCE_BYTES or len(sealed) < _TAG_BYTES:
        raise OperationRefused(f"what is sealed has a nonce of {NONCE_BYTES} bytes and a tag of {_TAG_BYTES}")
    opened = Secret.blank(f"opened by {label}", len(sealed) - _TAG_BYTES)

    def work(session: pkcs11.Session, found: FoundKey) -> None:
        transfers = Transfers(worker.module, handle_of(session))
        transfers.open_gcm(handle_of(found.key), Envelope(nonce, associated_data), sealed, opened.expose())

    try:
        use_key(worker, label, KeyUse.SEAL, work)
    except DoesNotOpen:
        with Secret.take("probe", os.urandom(32)) as content:
            seal(worker, label, content, PROBE)
        raise OperationRefused(f"it was not sealed so by {label}") from None
    return opened


def agree(worker: Worker, label: str, peer: bytes) -> Secret:
    """Give the x-coordinate, 48 bytes, that a key has in common with a peer's public key; the caller wipes it.

    Raises OperationRefused for a peer's key that is none.
    """
    try:
        point = p384_point(peer)
    except KeyRefused as error:
        raise OperationRefused(f"the peer's key {error}") from None
    return use_key(worker, label, KeyUse.AGREE, lambda session, found: derive(worker, session, found.key, point))


def random(worker: Worker, length_bytes: int) -> Secret:
    """Give bytes of the token's own random generator; the caller wipes them."""
    made = Secret.blank("random", length_bytes)
    worker.attempt(lambda session: worker.module.random(handle_of(session), made.expose()))
    if made.is_wiped:
        raise TokenLost("the token's random generator gives nothing but zeros")
    return made


def _sign(key: pkcs11.SignMixin, kind: KeyKind, message: bytes) -> bytes:
    match kind:
        case KeyKind.ED25519:
            return key.sign(message, mechanism=_M.EDDSA)
        case KeyKind.ECDSA_P256:
            return key.sign(hashlib.sha256(message).digest(), mechanism=_M.ECDSA)
        case KeyKind.ECDSA_P384:
            return key.sign(hashlib.sha384(message).digest(), mechanism=_M.ECDSA)
        case _:
            return key.sign(hashlib.sha384(message).digest(), mechanism=_M.RSA_PKCS_PSS, mechanism_param=_PSS)


def derive(worker: Worker, session: pkcs11.Session, key: pkcs11.Key, point: bytes) -> Secret:
    """Derive from a point that is on the curve; the key that the token makes of it is read and destroyed."""
    parameters = (pkcs11.KDF.NULL, None, point)
    made = cast("pkcs11.DeriveMixin", key).derive_key(
        pkcs11.KeyType.GENERIC_SECRET,
        8 * _SHARED_BYTES,
        mechanism=_M.ECDH1_DERIVE,
        mechanism_param=parameters,
        capabilities=pkcs11.MechanismFlag(0),
        template=_READABLE,
    )
    shared = Secret.blank("shared secret", _SHARED_BYTES)
    try:
        Transfers(worker.module, handle_of(session)).read_value(handle_of(made), shared)
    except DoesNotOpen:
        raise TokenLost("the token derived a secret of another length") from None
    finally:
        made.destroy()
    return shared
