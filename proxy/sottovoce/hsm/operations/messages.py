"""What a token process is asked about keys beside its own, and what it answers.  Pure.

Secrets cross as `Secret` only.  What makes or destroys a key is never sent twice.
"""

import msgspec

from sottovoce.hsm.kinds import KeyFacts, NewKey, TokenHealth, WrapMechanism, WrappedUnder
from sottovoce.hsm.messages import Operation
from sottovoce.primitives import Secret

_MAKING_SECONDS = 60.0
"""RSA of 4096 bits takes seconds, and some tokens much longer."""


class Sign(msgspec.Struct, frozen=True):
    """Sign a message, or make its authentication code, as the key's kind says."""

    label: str
    message: bytes


class Signed(msgspec.Struct, frozen=True):
    """The signature or the code, checked."""

    signature: bytes


class Verify(msgspec.Struct, frozen=True):
    """Check a signature or an authentication code."""

    label: str
    message: bytes
    signature: bytes


class Verified(msgspec.Struct, frozen=True):
    """Whether it is right."""

    is_right: bool


class Encrypt(msgspec.Struct, frozen=True):
    """Encrypt, with something that is authenticated beside it."""

    label: str
    content: Secret
    associated_data: bytes


class Encrypted(msgspec.Struct, frozen=True):
    """A nonce that was chosen for it, and `ciphertext ‖ tag`."""

    nonce: bytes
    sealed: bytes


class Decrypt(msgspec.Struct, frozen=True):
    """Decrypt."""

    label: str
    nonce: bytes
    sealed: bytes
    associated_data: bytes


class Decrypted(msgspec.Struct, frozen=True):
    """The content; its reader wipes it."""

    content: Secret


class Wrap(msgspec.Struct, frozen=True):
    """Wrap the key `target` under another."""

    label: str
    target: str
    mechanism: WrapMechanism


class Wrapped(msgspec.Struct, frozen=True):
    """The wrapped key."""

    wrapped: WrappedUnder


class Unwrap(msgspec.Struct, frozen=True):
    """Make a key of what was wrapped under another."""

    label: str
    wrapped: WrappedUnder
    new: NewKey


class Derive(msgspec.Struct, frozen=True):
    """Derive the secret in common with a peer's public key (SubjectPublicKeyInfo, DER)."""

    label: str
    peer: bytes


class Derived(msgspec.Struct, frozen=True):
    """The bare x-coordinate, which is no key before it went through a KDF; its reader wipes it."""

    shared: Secret


class Generate(msgspec.Struct, frozen=True):
    """Make a key by the token's own chance."""

    new: NewKey


class Import(msgspec.Struct, frozen=True):
    """Make a key of this value."""

    new: NewKey
    value: Secret


class Made(msgspec.Struct, frozen=True):
    """The key is there, and has proved itself."""

    facts: KeyFacts


class Export(msgspec.Struct, frozen=True):
    """Ask for what may be known of a key, its public half with it; what is secret leaves wrapped only."""

    label: str


class Exported(msgspec.Struct, frozen=True):
    """What may be known."""

    facts: KeyFacts


class Prove(msgspec.Struct, frozen=True):
    """Have a key do once what it is for."""

    label: str


class Proved(msgspec.Struct, frozen=True):
    """It did."""


class Destroy(msgspec.Struct, frozen=True):
    """Destroy a key; it is no error if there is none."""

    label: str


class Destroyed(msgspec.Struct, frozen=True):
    """It is gone; `was_there` says whether it had been there."""

    was_there: bool


class Find(msgspec.Struct, frozen=True):
    """Ask for the keys whose label begins so."""

    prefix: str


class Found(msgspec.Struct, frozen=True):
    """They are these, by label."""

    keys: tuple[KeyFacts, ...]


class Random(msgspec.Struct, frozen=True):
    """Ask for bytes of the token's own random generator."""

    length_bytes: int


class Randomness(msgspec.Struct, frozen=True):
    """They are these; their reader wipes them."""

    random: Secret


class Health(msgspec.Struct, frozen=True):
    """Ask what the token is, and what it can do."""


SIGN = Operation("key_sign", Sign, Signed)
VERIFY = Operation("key_verify", Verify, Verified)
ENCRYPT = Operation("key_encrypt", Encrypt, Encrypted)
DECRYPT = Operation("key_decrypt", Decrypt, Decrypted)
WRAP = Operation("key_wrap", Wrap, Wrapped)
UNWRAP = Operation("key_unwrap", Unwrap, Made, is_idempotent=False, answer_seconds=_MAKING_SECONDS)
DERIVE = Operation("key_derive", Derive, Derived)
GENERATE = Operation("key_generate", Generate, Made, is_idempotent=False, answer_seconds=_MAKING_SECONDS)
IMPORT = Operation("key_import", Import, Made, is_idempotent=False, answer_seconds=_MAKING_SECONDS)
EXPORT = Operation("key_export", Export, Exported)
PROVE = Operation("key_prove", Prove, Proved)
# As long as a making, so that it never overtakes one whose caller has gone: what that leaves has to be destroyed too.
DESTROY = Operation("key_destroy", Destroy, Destroyed, is_idempotent=False, answer_seconds=_MAKING_SECONDS)
FIND = Operation("key_find", Find, Found)
RANDOM = Operation("key_random", Random, Randomness)
HEALTH = Operation("key_health", Health, TokenHealth)
