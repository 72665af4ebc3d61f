"""Looks for secrets in whatever a program has said: raw, in hex, in base64, as Python shows bytes."""

import base64
from collections.abc import Iterable, Iterator

PART_BYTES = 15
"""What is looked for of a secret's beginning and end: three bytes make four characters of base64."""


def leaks(said: bytes, secrets: Iterable[tuple[str, bytes]]) -> list[str]:
    """Names of the secrets of which a part stands in `said`, in any form."""
    folded = said.lower()
    return sorted({name for name, value in secrets for form in forms(value) if form in said or form.lower() in folded})


def forms(value: bytes) -> Iterator[bytes]:
    """Every way in which a part of a secret may stand somewhere."""
    for part in {value[:PART_BYTES], value[-PART_BYTES:]}:
        yield part
        yield part.hex().encode()
        yield part.hex(" ").encode()
        yield part.hex(":").encode()
        yield repr(part)[2:-1].encode()
        yield str(list(part))[1:-1].encode()
    for skipped in range(3):  # wherever in the encoded bytes the secret begins, one of these is there
        rest = value[skipped:]
        whole = rest[: len(rest) // 3 * 3][:PART_BYTES]
        yield base64.b64encode(whole)
        yield base64.urlsafe_b64encode(whole)
