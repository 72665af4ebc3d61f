"""Keys of a token beside its own, inside the token process: found by their label, made, imported, destroyed.

Labels are in a namespace of their own (`kinds.is_key_label`), so none of this reaches the keys that the token process
uses for itself.  A token says what a key is by its attributes; here that is a `KeyKind`, or the key is not used.

What is made is private, sensitive and, unless it was to be wrapped, not extractable, and has proved itself before
anybody hears of it (`proof`).  Tokens disagree on duplicates: here a label is one key's, or refused.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import msgspec
import pkcs11
from pkcs11.attributes import AttributeMapper
from pkcs11.util.ec import encode_named_curve_parameters

from sottovoce.hsm.errors import HsmError, KeyAbsent, KeyMissing, OperationRefused
from sottovoce.hsm.kinds import KeyFacts, KeyKind, KeyUse, NewKey, check_label, is_key_label
from sottovoce.hsm.process.faults import Result, handle_of
from sottovoce.hsm.process.transfers import Transfers
from sottovoce.hsm.process.worker import Worker
from sottovoce.primitives import KeyRefused, Secret, ec_spki, ed25519_spki, rsa_spki

_A, _K, _M, _F = pkcs11.Attribute, pkcs11.KeyType, pkcs11.Mechanism, pkcs11.MechanismFlag
_HALVES = (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.SECRET_KEY)
_P256 = encode_named_curve_parameters("1.2.840.10045.3.1.7")
P384 = encode_named_curve_parameters("1.3.132.0.34")
_EDWARDS25519 = b"\x13\x0cedwards25519"
"""PrintableString (PKCS#11 3.0 §2.3.10); a token may give the object identifier back."""
_CURVES = {KeyKind.ECDSA_P256: _P256, KeyKind.ECDSA_P384: P384, KeyKind.ECDH_P384: P384}
_RSA_BITS = {KeyKind.RSA_PSS_3072: 3072, KeyKind.RSA_PSS_4096: 4096}
CAPABILITIES = {
    KeyUse.SIGN: _F.SIGN | _F.VERIFY,
    KeyUse.AUTHENTICATE: _F.SIGN | _F.VERIFY,
    KeyUse.SEAL: _F.ENCRYPT | _F.DECRYPT,
    KeyUse.WRAP: _F.WRAP | _F.UNWRAP,
    KeyUse.AGREE: _F.DERIVE,
}
KEY_TYPES = {
    KeyKind.HMAC_SHA384: _K.GENERIC_SECRET,
    KeyKind.AES_256_GCM: _K.AES,
    KeyKind.AES_256_WRAP: _K.AES,
}
_NEEDED: dict[KeyKind, frozenset[int]] = {
    KeyKind.ECDSA_P256: frozenset({_M.EC_KEY_PAIR_GEN, _M.ECDSA}),
    KeyKind.ECDSA_P384: frozenset({_M.EC_KEY_PAIR_GEN, _M.ECDSA}),
    KeyKind.ED25519: frozenset({_M.EC_EDWARDS_KEY_PAIR_GEN, _M.EDDSA}),
    KeyKind.RSA_PSS_3072: frozenset({_M.RSA_PKCS_KEY_PAIR_GEN, _M.RSA_PKCS_PSS}),
    KeyKind.RSA_PSS_4096: frozenset({_M.RSA_PKCS_KEY_PAIR_GEN, _M.RSA_PKCS_PSS}),
    KeyKind.HMAC_SHA384: frozenset({_M.GENERIC_SECRET_KEY_GEN, _M.SHA384_HMAC}),
    KeyKind.AES_256_GCM: frozenset({_M.AES_KEY_GEN, _M.AES_GCM}),
    KeyKind.AES_256_WRAP: frozenset({_M.AES_KEY_GEN, _M.AES_KEY_WRAP}),
    KeyKind.ECDH_P384: frozenset({_M.EC_KEY_PAIR_GEN, _M.ECDH1_DERIVE}),
}
"""The mechanisms that a token has to list for a kind."""
Template = dict[pkcs11.Attribute, object]
Prove = Callable[[Worker, str], None]
_making = threading.Lock()
"""Held from looking whether a label is free until it is taken."""


class _Changes:
    """How many keys were destroyed: what a thread has found before may be one of them."""

    count = 0


class FoundKey(msgspec.Struct, frozen=True):
    """A key of the token: its facts, and the half of it that works."""

    facts: KeyFacts
    key: pkcs11.Key
    as_of: int
    """The number of changes when it was found."""


def find_key(worker: Worker, session: pkcs11.Session, label: str) -> FoundKey:
    """Look a key up, once a session and change.  For use inside `Worker.attempt`, which cures a login that is gone.

    Raises KeyMissing, OperationRefused.
    """
    known, as_of = worker.found.get(label), _Changes.count
    if isinstance(known, FoundKey) and known.as_of == as_of:
        return known
    check_label(label)
    objects = list(session.get_objects({_A.LABEL: label}))
    halves = [each for each in objects if each[_A.CLASS] in _HALVES]
    if not halves:
        raise worker.missing(label, *_HALVES)
    if len(halves) > 1:
        raise OperationRefused(f"the token has several keys called {label}: remove all but the right one")
    worker.expect(label, halves[0][_A.CLASS])
    found = worker.found[label] = FoundKey(*_describe(label, halves[0], objects), as_of)
    return found


def use_key(worker: Worker, label: str, use: KeyUse, work: Callable[[pkcs11.Session, FoundKey], Result]) -> Result:
    """Do a piece of work, which may be done twice, with a key that is for it.  Raises KeyAbsent, OperationRefused."""

    def attempt(session: pkcs11.Session) -> Result:
        found = find_key(worker, session, label)
        if found.facts.kind.use is not use:
            raise OperationRefused(f"{label} is {found.facts.kind}, which is not to {use.value}")
        return work(session, found)

    return _named(label, lambda: worker.attempt(attempt))


def look_at(worker: Worker, label: str) -> KeyFacts:
    """Give the facts of a key.  Raises KeyAbsent, OperationRefused."""
    return _named(label, lambda: worker.attempt(lambda session: find_key(worker, session, label).facts))


def list_keys(worker: Worker, prefix: str) -> list[KeyFacts]:
    """Give the facts of all keys whose label begins so, by label; what is none of these kinds is left out."""

    def attempt(session: pkcs11.Session) -> list[KeyFacts]:
        worker.see_login()
        labels: set[str] = set()
        for kind in _HALVES:
            for each in list(session.get_objects({_A.CLASS: kind})):
                with suppress(UnicodeDecodeError):  # whoever made it, it has none of our labels
                    labels.add(str(each[_A.LABEL]))
        wanted = sorted(label for label in labels if label.startswith(prefix) and is_key_label(label))
        return [facts for label in wanted if (facts := _facts_if_usable(worker, session, label))]

    return worker.attempt(attempt)


def _facts_if_usable(worker: Worker, session: pkcs11.Session, label: str) -> KeyFacts | None:
    try:
        return find_key(worker, session, label).facts
    except OperationRefused:
        return None


def supported_kinds(session: pkcs11.Session) -> frozenset[KeyKind]:
    """Give the kinds whose mechanisms the token lists."""
    listed = {int(mechanism) for mechanism in session.token.slot.get_mechanisms()}
    return frozenset(kind for kind, needed in _NEEDED.items() if needed <= listed)


def make_key(worker: Worker, new: NewKey, make: Callable[[pkcs11.Session], object], prove: Prove) -> KeyFacts:
    """Make a key under a label that is free, and prove it; what fails leaves none.  Raises OperationRefused."""
    new.check()
    with _making:
        _refuse_taken(worker, new.label)
        try:
            worker.write(make)
            prove(worker, new.label)
        except BaseException:
            with suppress(HsmError):  # what came first counts
                _destroy(worker, new.label)
            raise
    return look_at(worker, new.label)


def destroy_key(worker: Worker, label: str) -> bool:
    """Destroy all objects of this label; false where there were none."""
    check_label(label)
    with _making:
        return _destroy(worker, label)


def generate(session: pkcs11.Session, new: NewKey, *, is_kept: bool = True) -> None:
    """Make a key by the token's own chance, in a session that may; one that is not kept ends with the session."""
    kind, capabilities = new.kind, CAPABILITIES[new.kind.use]
    if kind not in supported_kinds(session):
        raise OperationRefused(f"this token does not have {kind}")
    private = stored(new) | {_A.TOKEN: is_kept}
    public = {each: private[each] for each in (_A.TOKEN, _A.LABEL, _A.ID)}
    if kind.is_secret:
        session.generate_key(KEY_TYPES[kind], 8 * kind.value_bytes, capabilities=capabilities, template=private)
    elif kind in _RSA_BITS:
        session.generate_keypair(
            _K.RSA, _RSA_BITS[kind], capabilities=capabilities, public_template=public, private_template=private
        )
    else:
        family = _K.EC_EDWARDS if kind is KeyKind.ED25519 else _K.EC
        curve = {_A.EC_PARAMS: _CURVES.get(kind, _EDWARDS25519)}
        parameters = session.create_domain_parameters(family, curve, local=True)
        parameters.generate_keypair(capabilities=capabilities, public_template=public, private_template=private)


def import_secret(worker: Worker, session: pkcs11.Session, new: NewKey, value: Secret) -> None:
    """Make a key of a value of ours, in a session that may.  Raises OperationRefused for one of another length."""
    if not new.kind.is_secret or len(value) != new.kind.value_bytes:
        raise OperationRefused(f"a key that is imported is a secret one, and one of {new.kind} has another length")
    create_secret(Transfers(worker.module, handle_of(session)), new.kind, stored(new), value.expose())


def create_secret(transfers: Transfers, kind: KeyKind, template: Template, value: bytearray) -> int:
    """Make a secret key of a value of ours, and give its number."""
    mapper = AttributeMapper()
    whole: Template = mapper.secret_key_template(capabilities=CAPABILITIES[kind.use], id_=b"", label="", store=False)
    whole = whole | {_A.KEY_TYPE: KEY_TYPES[kind]} | template
    return transfers.create_key(
        [(int(each), mapper.pack_attribute(each, value)) for each, value in whole.items()], value
    )


def stored(new: NewKey) -> Template:
    """Give what a key has that stays in the token: a name, a number of its own, and its protection."""
    return {
        _A.TOKEN: True,
        _A.LABEL: new.label,
        _A.ID: os.urandom(16),
        _A.PRIVATE: True,
        _A.SENSITIVE: True,
        _A.EXTRACTABLE: new.is_extractable,
    }


def raw_point(public: pkcs11.Object) -> bytes:
    """Give a public key's point: PKCS#11 wraps it in a DER OCTET STRING, some tokens give it bare."""
    point = bytes(public[_A.EC_POINT])
    is_wrapped = point[:1] == b"\x04" and point[1:2] == bytes([len(point) - 2])
    return point[2:] if is_wrapped else point


def _refuse_taken(worker: Worker, label: str) -> None:
    try:
        look_at(worker, label)
    except KeyAbsent:
        return
    raise OperationRefused(f"there is a key called {label} already: choose another name, or destroy it first")


def _destroy(worker: Worker, label: str) -> bool:
    worker.forget(label)

    def destroy(session: pkcs11.Session) -> bool:
        objects = list(session.get_objects({_A.LABEL: label}))
        for each in objects:
            each.destroy()
        return bool(objects)

    try:
        return worker.write(destroy)
    finally:
        _Changes.count += 1


def _named(label: str, work: Callable[[], Result]) -> Result:
    try:
        return work()
    except KeyMissing:
        raise KeyAbsent(f"the token has no key {label}") from None


def _describe(label: str, half: pkcs11.Object, objects: list[pkcs11.Object]) -> tuple[KeyFacts, pkcs11.Key]:
    key = cast("pkcs11.Key", half)
    kind = _kind_of(key)
    if kind is None:
        raise OperationRefused(f"{label} is a key of a kind that is not used here")
    public = [each for each in objects if each[_A.CLASS] is pkcs11.ObjectClass.PUBLIC_KEY]
    if not kind.is_secret and len(public) != 1:
        raise OperationRefused(f"the token has {len(public)} public halves of {label}, there has to be one")
    try:
        spki = b"" if kind.is_secret else _spki(kind, public[0])
    except KeyRefused as error:
        raise OperationRefused(f"the public half of {label} {error}") from None
    return KeyFacts(label, kind, spki, is_extractable=bool(key[_A.EXTRACTABLE])), key


def _kind_of(key: pkcs11.Key) -> KeyKind | None:
    match key[_A.KEY_TYPE]:
        case _K.EC:
            curves = {_P256: KeyKind.ECDSA_P256, P384: KeyKind.ECDH_P384 if key[_A.DERIVE] else KeyKind.ECDSA_P384}
            return curves.get(bytes(key[_A.EC_PARAMS]))
        case _K.EC_EDWARDS:
            return KeyKind.ED25519
        case _K.RSA:
            bits = 8 * len(bytes(key[_A.MODULUS]).lstrip(b"\x00"))
            return {bits: kind for kind, bits in _RSA_BITS.items()}.get(bits)
        case _K.AES:
            kind = KeyKind.AES_256_GCM if key[_A.ENCRYPT] else KeyKind.AES_256_WRAP if key[_A.WRAP] else None
            return _of_its_length(key, kind)
        case _K.GENERIC_SECRET | _K.SHA384_HMAC:
            return _of_its_length(key, KeyKind.HMAC_SHA384 if key[_A.SIGN] else None)
        case _:
            return None


def _of_its_length(key: pkcs11.Key, kind: KeyKind | None) -> KeyKind | None:
    """Give the kind of a secret key that is as long as that kind's are: others may have put shorter ones there.

    Of a key that was unwrapped SoftHSM says 0; `unwrap` has seen to its length.
    """
    return kind if kind is not None and key[_A.VALUE_LEN] in {0, kind.value_bytes} else None


def _spki(kind: KeyKind, public: pkcs11.Object) -> bytes:
    if kind in _RSA_BITS:
        modulus, exponent = (int.from_bytes(bytes(public[each])) for each in (_A.MODULUS, _A.PUBLIC_EXPONENT))
        return rsa_spki(modulus, exponent)
    raw = raw_point(public)
    return ed25519_spki(raw) if kind is KeyKind.ED25519 else ec_spki(raw)
