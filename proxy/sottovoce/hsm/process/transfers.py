"""Secrets into and out of a token, through buffers of ours that are wiped.

python-pkcs11 takes and gives `bytes`, keeps copies of what it was given, and asks for the length of a result first,
which some modules answer too small (NSS: for AES-GCM and AES-KWP).  Here the buffer comes first, with room enough for
whatever they add.  PKCS#11's errors are raised as python-pkcs11 has them.
"""

import ctypes
from collections.abc import Iterable
from ctypes import Structure, byref, c_ulong, c_void_p

import msgspec

from sottovoce.hsm.process.cryptoki import Function, Module, lend
from sottovoce.hsm.process.faults import error_of
from sottovoce.primitives import Secret

_CKM_AES_GCM = 0x1087
_CKA_VALUE = 0x11
_TAG_BYTES = 16
_MAX_WRAPPED_BYTES = 8192
"""A private RSA-4096 key, wrapped, is some 2400."""
_OK = 0x0
_DOES_NOT_OPEN = {0x5, 0x20, 0x21, 0x35, 0x40, 0x41, 0xC0}
"""CKR_GENERAL_ERROR (SoftHSM's for a wrong tag), DATA_*, AEAD_DECRYPT_FAILED, ENCRYPTED_DATA_*, SIGNATURE_INVALID."""

Attributes = Iterable[tuple[int, bytes | bytearray]]
"""A template: attributes' numbers and their values as C has them."""


class DoesNotOpen(Exception):
    """What is sealed was not sealed so under this key; or the token says so for want of a better word."""


class Envelope(msgspec.Struct, frozen=True):
    """What AES-GCM takes beside key and content: a nonce of 12 bytes, and what is authenticated with the content."""

    nonce: bytes
    associated_data: bytes


class _GcmParams(Structure):
    _fields_ = (
        ("iv", c_void_p),
        ("iv_bytes", c_ulong),
        ("iv_bits", c_ulong),
        ("aad", c_void_p),
        ("aad_bytes", c_ulong),
        ("tag_bits", c_ulong),
    )


class _Mechanism(Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("parameter_bytes", c_ulong))


class _Attribute(Structure):
    _fields_ = (("kind", c_ulong), ("value", c_void_p), ("value_bytes", c_ulong))


class _Gcm:
    """The mechanism, and what it points to."""

    def __init__(self, envelope: Envelope) -> None:
        nonce, data = envelope.nonce, envelope.associated_data
        self._kept = (ctypes.create_string_buffer(nonce, len(nonce)), ctypes.create_string_buffer(data, len(data)))
        iv, aad = (ctypes.addressof(kept) for kept in self._kept)
        self._parameters = _GcmParams(iv, len(nonce), 8 * len(nonce), aad, len(data), 8 * _TAG_BYTES)
        self.mechanism = _Mechanism(_CKM_AES_GCM, ctypes.addressof(self._parameters), ctypes.sizeof(self._parameters))


class Transfers:
    """One session of a token, for secrets that pass through it."""

    def __init__(self, module: Module, session: int) -> None:
        """Take the session's number; it stays its owner's."""
        self._call = module.call
        self._session = session

    def seal_gcm(self, key: int, envelope: Envelope, content: bytearray) -> bytes:
        """Encrypt a buffer of ours: `ciphertext ‖ tag`.  That a nonce is used once is the caller's affair."""
        gcm = _Gcm(envelope)
        room = bytearray(len(content) + 2 * _TAG_BYTES)
        length = c_ulong(len(room))
        _check(self._call(Function.ENCRYPT_INIT, self._session, byref(gcm.mechanism), key), "C_EncryptInit")
        code = self._call(Function.ENCRYPT, self._session, lend(content), len(content), lend(room), byref(length))
        _check(code, "C_Encrypt")
        return bytes(memoryview(room)[: length.value])

    def open_gcm(self, key: int, envelope: Envelope, sealed: bytes, into: bytearray) -> None:
        """Decrypt what is sealed into a buffer of ours of the right length.  Raises DoesNotOpen if it does not."""
        gcm = _Gcm(envelope)
        _check(self._call(Function.DECRYPT_INIT, self._session, byref(gcm.mechanism), key), "C_DecryptInit")
        # SoftHSM wants room for the tag too, so it decrypts into a larger buffer, which is wiped here.
        room = bytearray(len(sealed) + _TAG_BYTES)
        length = c_ulong(len(room))
        try:
            code = self._call(Function.DECRYPT, self._session, sealed, len(sealed), lend(room), byref(length))
            if code in _DOES_NOT_OPEN or (code == _OK and length.value != len(into)):
                raise DoesNotOpen
            _check(code, "C_Decrypt")
            into[:] = memoryview(room)[: length.value]
        finally:
            room[:] = bytes(len(room))

    def wrap_key(self, mechanism: int, wrapping: int, key: int) -> bytes:
        """Wrap a key under another, by a mechanism without parameters."""
        room = bytearray(_MAX_WRAPPED_BYTES)
        length = c_ulong(len(room))
        how = _Mechanism(mechanism, None, 0)
        code = self._call(Function.WRAP_KEY, self._session, byref(how), wrapping, key, lend(room), byref(length))
        _check(code, "C_WrapKey")
        return bytes(memoryview(room)[: length.value])

    def create_key(self, template: Attributes, value: bytearray) -> int:
        """Make a key of a value of ours, and give its number.  What the token copies of it is the token's affair."""
        lent = [(kind, lend(bytearray(content))) for kind, content in template] + [(_CKA_VALUE, lend(value))]
        array = (_Attribute * len(lent))()
        for place, (kind, buffer) in zip(array, lent, strict=True):
            place.kind, place.value, place.value_bytes = kind, ctypes.addressof(buffer), len(buffer)
        number = c_ulong()
        code = self._call(Function.CREATE_OBJECT, self._session, array, len(array), byref(number))
        _check(code, "C_CreateObject")
        return number.value

    def read_value(self, key: int, into: Secret) -> None:
        """Read the value of a key that may be read.  Raises DoesNotOpen unless it is as long as `into`."""
        buffer = lend(into.expose())
        attribute = _Attribute(_CKA_VALUE, ctypes.addressof(buffer), len(buffer))
        code = self._call(Function.GET_ATTRIBUTE_VALUE, self._session, key, byref(attribute), 1)
        _check(code, "C_GetAttributeValue")
        if attribute.value_bytes != len(into):
            raise DoesNotOpen

    def destroy_key(self, key: int) -> None:
        """Destroy a key."""
        _check(self._call(Function.DESTROY_OBJECT, self._session, key), "C_DestroyObject")


def _check(code: int, call: str) -> None:
    if code != _OK:
        raise error_of(code, call)
