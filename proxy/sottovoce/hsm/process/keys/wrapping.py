"""Wrapping secret keys under another, inside the token process.

Vendors' numbers for AES-KWP differ: 0x210B is the standard's, 0x210A that of SoftHSM, and for NSS another padding.  So
a number is believed once it gave a known answer (`_KNOWN`), computed by another implementation.  Of a key whose
length is no multiple of eight SoftHSM wraps the zeros behind it, too; no kind here has such a length.
"""

import os
from typing import cast

import pkcs11

from sottovoce.hsm.errors import OperationRefused, TokenLost
from sottovoce.hsm.kinds import KeyFacts, KeyKind, KeyUse, NewKey, WrapMechanism, WrappedUnder
from sottovoce.hsm.process.faults import Cure, cure_of, handle_of
from sottovoce.hsm.process.keys.store import (
    CAPABILITIES,
    KEY_TYPES,
    FoundKey,
    Prove,
    Template,
    create_secret,
    find_key,
    look_at,
    make_key,
    stored,
    use_key,
)
from sottovoce.hsm.process.keys.use import PROBE
from sottovoce.hsm.process.transfers import DoesNotOpen, Envelope, Transfers
from sottovoce.hsm.process.worker import Worker

_A, _M = pkcs11.Attribute, pkcs11.Mechanism
_ADDED_BYTES = 8
_CANDIDATES = {
    WrapMechanism.AES_KW: (_M.AES_KEY_WRAP,),
    WrapMechanism.AES_KWP: (_M.AES_KEY_WRAP_KWP, _M.AES_KEY_WRAP_PAD),
}
_KNOWN_WRAPPING, _KNOWN_KEY = bytes(range(32)), bytes(range(32, 64))
_KNOWN = {
    WrapMechanism.AES_KW: bytes.fromhex(
        "04f8a3c3c302d3b0b7e94b14dcf85ad1da69cd74056ed7907d3cb49fb27799a4104db058f2901adb"
    ),
    WrapMechanism.AES_KWP: bytes.fromhex(
        "92f48c52045c08050ec796a5a91c5ddaf7c61cbdc940adc8d3dc8a144f6161a8c5d3299e325f1750"
    ),
}
"""What `_KNOWN_KEY` is under `_KNOWN_WRAPPING`; a test has it computed again."""
_TEMPORARY: Template = {_A.PRIVATE: True, _A.SENSITIVE: True, _A.EXTRACTABLE: False}
_READABLE: Template = {_A.PRIVATE: True, _A.SENSITIVE: False, _A.EXTRACTABLE: True}
_SAID_TO_BAD_INPUT = (pkcs11.GeneralError, pkcs11.FunctionFailed, pkcs11.DeviceError)
"""Said to a caller's bad input by some token, and by a broken one to everything: so it has to prove itself then."""


def wrap(worker: Worker, label: str, target: str, mechanism: WrapMechanism) -> WrappedUnder:
    """Wrap another key, which has to be extractable: some tokens (NSS) do not look, so it is seen to here."""
    facts = look_at(worker, target)
    if not facts.kind.is_secret or not facts.is_extractable:
        raise OperationRefused(f"{target} is not to leave the token: only a secret key that was made extractable is")

    def work(session: pkcs11.Session, found: FoundKey) -> bytes:
        number, inner = _number(worker, session, mechanism), find_key(worker, session, target)
        return Transfers(worker.module, handle_of(session)).wrap_key(number, handle_of(found.key), handle_of(inner.key))

    wrapped = use_key(worker, label, KeyUse.WRAP, work)
    if len(wrapped) != facts.kind.value_bytes + _ADDED_BYTES:
        raise TokenLost(f"the token wrapped {target} to {len(wrapped)} bytes")
    return WrappedUnder(mechanism, wrapped)


def unwrap(worker: Worker, label: str, wrapped: WrappedUnder, new: NewKey, prove: Prove) -> KeyFacts:
    """Make a key of what was wrapped under another.  Raises OperationRefused when it was not."""
    if not new.kind.is_secret or len(wrapped.wrapped) != new.kind.value_bytes + _ADDED_BYTES:
        raise OperationRefused(f"a wrapped key is a secret one, and one of {new.kind} has another length")
    number = use_key(worker, label, KeyUse.WRAP, lambda session, _: _number(worker, session, wrapped.mechanism))

    def make(session: pkcs11.Session) -> None:
        key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=label)
        try:
            _unwrap(key, wrapped.wrapped, number, new.kind, stored(new))
        except _SAID_TO_BAD_INPUT:
            raise DoesNotOpen from None

    try:
        return make_key(worker, new, make, prove)
    except DoesNotOpen:
        prove_wrapping(worker, label)
        raise OperationRefused(f"it was not wrapped so under {label}") from None


def wrap_mechanisms(worker: Worker) -> tuple[WrapMechanism, ...]:
    """Give those that the token has under a number that we know of, and does right."""
    return tuple(each for each in WrapMechanism if wrap_number(worker, each) is not None)


def wrap_number(worker: Worker, mechanism: WrapMechanism) -> int | None:
    """Give the number under which the token does a mechanism right; None: under none that we know of."""
    return worker.attempt(lambda session: _find_number(worker, session, mechanism))


def prove_wrapping(worker: Worker, label: str) -> None:
    """See that a key wraps another so that it can be unwrapped.  Raises TokenLost when it does not."""

    def work(session: pkcs11.Session, found: FoundKey) -> None:
        transfers, content = Transfers(worker.module, handle_of(session)), os.urandom(32)
        inner = session.generate_key(
            pkcs11.KeyType.AES,
            256,
            capabilities=CAPABILITIES[KeyUse.SEAL],
            template={_A.PRIVATE: True, _A.SENSITIVE: True, _A.EXTRACTABLE: True},
        )
        made: list[pkcs11.Key] = [inner]
        try:
            wrapped = transfers.wrap_key(_M.AES_KEY_WRAP, handle_of(found.key), handle_of(inner))
            made.append(_unwrap(found.key, wrapped, _M.AES_KEY_WRAP, KeyKind.AES_256_GCM, _TEMPORARY))
            envelope, opened = Envelope(os.urandom(12), PROBE), bytearray(len(content))
            sealed = transfers.seal_gcm(handle_of(inner), envelope, bytearray(content))
            transfers.open_gcm(handle_of(made[-1]), envelope, sealed, opened)
        except DoesNotOpen:
            raise TokenLost(f"a key that was wrapped under {label} is another one when it is unwrapped") from None
        finally:
            for each in made:
                each.destroy()

    use_key(worker, label, KeyUse.WRAP, work)


def _number(worker: Worker, session: pkcs11.Session, mechanism: WrapMechanism) -> pkcs11.Mechanism:
    number = _find_number(worker, session, mechanism)
    if number is None:
        raise OperationRefused(f"this token does not do {mechanism}, or under a number that we do not know")
    return number


def _find_number(worker: Worker, session: pkcs11.Session, mechanism: WrapMechanism) -> pkcs11.Mechanism | None:
    known = worker.found.get(mechanism)
    if known is None:
        listed = session.token.slot.get_mechanisms()
        candidates = [number for number in _CANDIDATES[mechanism] if number in listed]
        right = (number for number in candidates if _answers(worker, session, number) == _KNOWN[mechanism])
        known = worker.found[mechanism] = (next(right, None),)
    return cast("tuple[pkcs11.Mechanism | None]", known)[0]


def _answers(worker: Worker, session: pkcs11.Session, number: pkcs11.Mechanism) -> bytes:
    """Give what a mechanism makes of the known keys; nothing if the token takes no keys from outside."""
    transfers = Transfers(worker.module, handle_of(session))
    made: list[int] = []
    try:
        for kind, value in ((KeyKind.AES_256_WRAP, _KNOWN_WRAPPING), (KeyKind.AES_256_GCM, _KNOWN_KEY)):
            made.append(create_secret(transfers, kind, _READABLE, bytearray(value)))
        return transfers.wrap_key(number, made[0], made[1])
    except pkcs11.PKCS11Error as error:
        if cure_of(error) is not Cure.CALLER:
            raise
        return b""
    finally:
        for each in made:
            transfers.destroy_key(each)


def _unwrap(key: pkcs11.Key, wrapped: bytes, number: pkcs11.Mechanism, kind: KeyKind, template: Template) -> pkcs11.Key:
    return cast("pkcs11.UnwrapMixin", key).unwrap_key(
        pkcs11.ObjectClass.SECRET_KEY,
        KEY_TYPES[kind],
        wrapped,
        mechanism=number,
        capabilities=CAPABILITIES[kind.use],
        template=template,
    )
