"""One session of a token and its keys, by name, from inside the token process.

Beside `login` and `cryptoki` the only user of python-pkcs11.  How it keeps out of that library's traps:

- A `Worker` is one session without PIN, used by one thread at a time, with the key handles it has looked up: a look-up
  is a linear scan of the token and is never done per signature.
- A session that the token has dropped is opened again (`sessions` tells how) and its keys are looked up again, once
  per call.  Whatever goes wrong after that is `TokenLost`: the process answers so and is replaced, which cures all the
  rest.  What the token refuses to do is the caller's fault, and no more than that call fails (`faults`).
- Every signature is verified in software before it leaves.

`expose()` of a seed or key is called here and nowhere else in the package, of a PIN in `login` and `pin` only.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import TypeVar, cast

import msgspec
import pkcs11
from pkcs11.util.ec import encode_named_curve_parameters

from sottovoce.hsm.errors import KeyMissing, SealedSeedInvalid, TokenLost
from sottovoce.hsm.process.faults import Cure, Result, cure_of, fault_of, guarded, handle_of
from sottovoce.hsm.process.sessions import KEYS_FOUND, TokenSessions
from sottovoce.hsm.process.transfers import DoesNotOpen, Envelope, Transfers
from sottovoce.hsm.seeds import NONCE_BYTES, SEED_BYTES, SERIAL_BYTES, WRAPPED_KEY_BYTES, Sealed, SealedSeed, WrappedKey
from sottovoce.primitives import PublicKey, Secret, SignatureAlgorithm

Content = TypeVar("Content", bound=Sealed)

_P384 = encode_named_curve_parameters("1.3.132.0.34")
_LABEL = pkcs11.Attribute.LABEL
_POINT_IN_OCTET_STRING = b"\x04\x61\x04"


class KeyName(StrEnum):
    """The keys of a token: five, all different, each used for one thing.  A later anchor's name ends in its number."""

    ANCHOR = "sottovoce-anchor"
    SERVING = "sottovoce-serving"
    ROOT_CA = "sottovoce-root-ca"
    ISSUING_CA = "sottovoce-issuing-ca"
    KEK = "sottovoce-kek"


class Worker:
    """One session and its keys.  Not for two threads at once."""

    def __init__(self, sessions: TokenSessions) -> None:
        """Open the session; keys are looked up when they are first wanted."""
        self.module = sessions.module
        self.found: dict[str, object] = {}
        """What others than this class know of the session's objects; emptied when the session is replaced."""
        self._sessions = sessions
        self._opened = guarded(sessions.open)
        self._handles: dict[str, pkcs11.Key] = {}
        self._public_keys: dict[str, PublicKey] = {}

    @property
    def _session(self) -> pkcs11.Session:
        return self._opened.session

    @property
    def _transfers(self) -> Transfers:
        return Transfers(self.module, handle_of(self._session))

    def public_key(self, name: str) -> PublicKey:
        """Give the public half of a signing key.  Raises KeyMissing."""
        known = self._public_keys.get(name)
        if known is None:
            known = self._public_keys[name] = self._attempt(lambda: self._find_public(name))
        return known

    def sign(self, name: str, message: bytes) -> bytes:
        """Sign `message` with ECDSA P-384 and SHA-384: `r ‖ s`, 96 bytes, verified.

        The digest is made here.  Callers are handlers that build `message` from parts; nothing that comes from outside
        the process is signed as it is.
        """
        public = self.public_key(name)
        digest = hashlib.sha384(message).digest()
        signature = self._attempt(lambda: self._sign_digest(name, digest))
        if not public.verify(message, signature):
            text = f"the token made a wrong signature with {name}"
            raise TokenLost(text)
        return signature

    def new_sealed_seed(self, purpose: str, algorithm: SignatureAlgorithm) -> SealedSeed:
        """Make a fresh ML-DSA seed and seal it; the seed itself is forgotten here."""
        with Secret.take("new seed", os.urandom(SEED_BYTES)) as seed:
            blank = SealedSeed(
                purpose=purpose,
                serial=os.urandom(SERIAL_BYTES),
                algorithm=algorithm.name.lower(),
                nonce=os.urandom(NONCE_BYTES),
                sealed=b"",
            )
            return self._attempt(lambda: self._seal(blank, seed))

    def open_seed(self, sealed: SealedSeed) -> Secret:
        """Open a seed; the caller wipes it.  Raises SealedSeedInvalid when it was not sealed by this token so."""
        return self._open(sealed, Secret.blank(f"{sealed.purpose} seed", SEED_BYTES))

    def new_wrapped_key(self, purpose: str) -> WrappedKey:
        """Make an AES-256 key of the token's own random bytes and wrap it; the key itself is forgotten here."""
        with Secret.blank("new key", WRAPPED_KEY_BYTES) as key:
            self._attempt(lambda: self.module.random(handle_of(self._session), key.expose()))
            if key.is_wiped:
                text = "the token's random generator gives nothing but zeros"
                raise TokenLost(text)
            blank = WrappedKey(
                purpose=purpose, serial=os.urandom(SERIAL_BYTES), nonce=os.urandom(NONCE_BYTES), sealed=b""
            )
            return self._attempt(lambda: self._seal(blank, key))

    def open_key(self, wrapped: WrappedKey) -> Secret:
        """Open a key; the caller wipes it.  Raises SealedSeedInvalid when it was not wrapped by this token so."""
        return self._open(wrapped, Secret.blank(f"{wrapped.purpose} key", WRAPPED_KEY_BYTES))

    def generate_signing_key(self, name: str) -> PublicKey:
        """Make a P-384 key pair that never leaves the token.  Takes a writable token."""
        parameters = self._session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: _P384}, local=True
        )
        signing = pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY
        guarded(
            lambda: parameters.generate_keypair(
                id=os.urandom(16), label=name, store=True, capabilities=signing, private_template=_SEALED_IN
            )
        )
        return self.public_key(name)

    def destroy_signing_key(self, name: str) -> None:
        """Destroy whatever key pairs have this name, none included.  Takes a writable token."""

        def destroy() -> None:
            for kind in (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY):
                for each in list(self._session.get_objects({_LABEL: name, pkcs11.Attribute.CLASS: kind})):
                    each.destroy()

        self._handles.pop(name, None)
        self._public_keys.pop(name, None)
        self._sessions.forget(name)
        self._attempt(self.see_login)  # without it only public halves are there to be destroyed
        guarded(destroy)

    def generate_kek(self) -> None:
        """Make the AES-256 key that seals seeds and wraps keys.  Takes a writable token."""
        sealing = pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT
        guarded(
            lambda: self._session.generate_key(
                pkcs11.KeyType.AES,
                256,
                id=os.urandom(16),
                label=KeyName.KEK,
                store=True,
                capabilities=sealing,
                template=_SEALED_IN,
            )
        )

    def attempt(self, work: Callable[[pkcs11.Session], Result]) -> Result:
        """Do a piece of work that may be done twice: once more on a new session if the token has dropped this one."""
        return self._attempt(lambda: work(self._session))

    def write(self, work: Callable[[pkcs11.Session], Result]) -> Result:
        """Do a piece of work that makes or destroys keys, in a session that may, and that is closed behind it.

        It is not done twice, so the login is seen to first: without it only public halves are there to be destroyed.
        """
        self._attempt(self.see_login)
        session = guarded(self._sessions.open_writable)
        try:
            return guarded(lambda: work(session))
        finally:
            with suppress(pkcs11.PKCS11Error):  # what came of the work counts
                session.close()

    def expect(self, name: str, kind: pkcs11.ObjectClass) -> None:
        """Note that a key was found; if it is missing later, the token is no longer what it was."""
        self._sessions.known.add((name, kind))
        self._sessions.count(KEYS_FOUND)

    def forget(self, name: str) -> None:
        """No longer expect a key, which is about to be destroyed."""
        self.found.pop(name, None)
        self._sessions.forget(name)

    def see_login(self) -> None:
        """See that private keys are not hidden from this session.  Raises pkcs11.UserNotLoggedIn, which is cured."""
        if self._sessions.is_logged_out(self._opened):
            raise pkcs11.UserNotLoggedIn

    def missing(self, name: str, *kinds: pkcs11.ObjectClass) -> Exception:
        """Give the error for a key that is not found: the token or only this key may be gone.

        Raises pkcs11.UserNotLoggedIn when it is the login.
        """
        self.see_login()
        text = f"the token has no key {name}: it is another token, or a damaged one; restore it from its backup"
        known = self._sessions.known
        was_there = any((name, kind) in known for kind in kinds)
        if was_there or not all(self._is_there(*place) for place in list(known)[:1]):
            return TokenLost(text)
        return KeyMissing(text)

    def _sign_digest(self, name: str, digest: bytes) -> bytes:
        key = cast("pkcs11.SignMixin", self._find(name, pkcs11.ObjectClass.PRIVATE_KEY))
        return key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)

    def _open(self, sealed: Sealed, into: Secret) -> Secret:
        def attempt() -> None:
            key = handle_of(self._find(KeyName.KEK, pkcs11.ObjectClass.SECRET_KEY))
            envelope = Envelope(sealed.nonce, sealed.associated_data)
            self._transfers.open_gcm(key, envelope, sealed.sealed, into.expose())

        try:
            self._attempt(attempt)
        except KeyError:
            text = f"what is sealed for {sealed.purpose} names an unknown algorithm"
            raise SealedSeedInvalid(text) from None
        except DoesNotOpen:
            text = f"what is sealed for {sealed.purpose} does not open"
            raise SealedSeedInvalid(text) from None
        return into

    def _seal(self, blank: Content, content: Secret) -> Content:
        key = handle_of(self._find(KeyName.KEK, pkcs11.ObjectClass.SECRET_KEY))
        envelope = Envelope(blank.nonce, blank.associated_data)
        sealed = self._transfers.seal_gcm(key, envelope, content.expose())
        return msgspec.structs.replace(blank, sealed=sealed)

    def _find(self, name: str, kind: pkcs11.ObjectClass) -> pkcs11.Key:
        handle = self._handles.get(name)
        if handle is None:
            handle = self._handles[name] = self._look_up(name, kind)
        return handle

    def _find_public(self, name: str) -> PublicKey:
        point = bytes(self._look_up(name, pkcs11.ObjectClass.PUBLIC_KEY)[pkcs11.Attribute.EC_POINT])
        # PKCS#11 wraps the point in a DER OCTET STRING; some tokens give it bare.
        raw = point[2:] if point.startswith(_POINT_IN_OCTET_STRING) else point
        key = PublicKey(SignatureAlgorithm.ECDSA_P384, raw)
        if not key.is_valid():
            text = f"{name} in the token is not a P-384 key"
            raise KeyMissing(text)
        return key

    def _look_up(self, name: str, kind: pkcs11.ObjectClass) -> pkcs11.Key:
        try:
            key = self._session.get_key(object_class=kind, label=name)
        except pkcs11.NoSuchKey:
            raise self.missing(name, kind) from None
        except pkcs11.MultipleObjectsReturned:
            text = f"the token has several keys called {name}: remove all but the right one"
            raise KeyMissing(text) from None
        self.expect(name, kind)
        return key

    def _is_there(self, name: str, kind: pkcs11.ObjectClass) -> bool:
        return bool(list(self._session.get_objects({_LABEL: name, pkcs11.Attribute.CLASS: kind})))

    def _attempt(self, work: Callable[[], Result]) -> Result:
        """Do a piece of work; where session, handles or login turn out to be gone, once more on new ones."""
        if self._sessions.is_stale(self._opened):  # another thread found out
            guarded(self._renew)
        try:
            return work()
        except pkcs11.PKCS11Error as error:
            cure = cure_of(error)
            if cure not in {Cure.NEW_SESSION, Cure.NEW_LOGIN}:
                raise fault_of(error) from None

        def again() -> Result:
            self._renew(is_login_gone=cure is Cure.NEW_LOGIN)
            return work()

        return guarded(again)

    def _renew(self, *, is_login_gone: bool = False) -> None:
        self._handles.clear()
        self.found.clear()
        self._opened = self._sessions.renew(self._opened, is_login_gone=is_login_gone)


_SEALED_IN = {
    pkcs11.Attribute.PRIVATE: True,
    pkcs11.Attribute.SENSITIVE: True,
    pkcs11.Attribute.EXTRACTABLE: False,
}
