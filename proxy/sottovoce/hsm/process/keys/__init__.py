"""Keys of a token beside its own: how they are found and made, what they do, and how they prove it."""

from sottovoce.hsm.process.keys.proof import describe_token, prove
from sottovoce.hsm.process.keys.store import (
    create_secret,
    destroy_key,
    generate,
    import_secret,
    list_keys,
    look_at,
    make_key,
    supported_kinds,
)
from sottovoce.hsm.process.keys.use import (
    agree,
    authenticate,
    check_code,
    open_sealed,
    random,
    seal,
    sign,
    verify,
)
from sottovoce.hsm.process.keys.wrapping import unwrap, wrap, wrap_mechanisms, wrap_number

__all__ = [
    "agree",
    "authenticate",
    "check_code",
    "create_secret",
    "describe_token",
    "destroy_key",
    "generate",
    "import_secret",
    "list_keys",
    "look_at",
    "make_key",
    "open_sealed",
    "prove",
    "random",
    "seal",
    "sign",
    "supported_kinds",
    "unwrap",
    "verify",
    "wrap",
    "wrap_mechanisms",
    "wrap_number",
]
