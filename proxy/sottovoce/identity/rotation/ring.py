"""The ring: which anchors a directory's token holds, and which of them issues voice certificates.

It lies beside the sealed seeds (`keys/anchors.json`) and is written only once an anchor has been replaced for the first
time: a directory without it has the one anchor that `init` made.  It is written whole or not at all, and everything
else follows from it: `certs/anchor.json` is made of it, a key in the token that it does not name is of no use, and what
is on its way out or not yet on the audit log stands in it, so that a command that was killed is finished by the next.

Nothing in it is secret.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from sottovoce.audit import AnchorCreated, AnchorRetired, AnchorSwitched, CertificateIssued, KeyGenerated
from sottovoce.hsm import KeyName
from sottovoce.identity.errors import AnchorsUnusable
from sottovoce.primitives import PublicKey, SignatureAlgorithm
from sottovoce.session import Anchor

ANCHOR_RING: Final = "anchor_ring"
"""The name in `Start.files` under which the ring's path is given, whether there is a ring or not."""
_FORMAT: Final = "sottovoce.anchors.1"
_FIRST_SEED: Final = "anchor.mldsa87.json"
_KEY: Final = re.compile(rf"{KeyName.ANCHOR}(?:-([1-9][0-9]{{0,5}}))?")


class RingAnchor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An anchor of this token.  Its id is hexadecimal, as everywhere on the logs; keys are base64 in the file."""

    id: str
    key: str
    """The P-384 key's name in the token; the sealed seed lies in the file that `seed_of` gives."""
    authorities: tuple[str, ...]
    classical: bytes
    pq: bytes

    @property
    def anchor(self) -> Anchor:
        """As clients pin it."""
        return Anchor(
            self.authorities,
            PublicKey(SignatureAlgorithm.ECDSA_P384, self.classical),
            PublicKey(SignatureAlgorithm.MLDSA87, self.pq),
        )

    @classmethod
    def of(cls, anchor: Anchor, key: str) -> "RingAnchor":
        """Describe an anchor whose keys are in this token.  Raises AnchorsUnusable for one that cannot be."""
        if anchor.pq is None or anchor.pq.algorithm is not SignatureAlgorithm.MLDSA87:
            text = "an anchor of this token has an ML-DSA-87 key: restore certs/anchor.json from its backup"
            raise AnchorsUnusable(text)
        return cls(
            id=anchor.anchor_id.hex(),
            key=key,
            authorities=anchor.authorities,
            classical=anchor.classical.key,
            pq=anchor.pq.key,
        )


class AnchorRing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The anchors of a token, the oldest first, and what is still to be done about them."""

    format: str = _FORMAT
    issuing: str
    """The id of the one that signs voice certificates."""
    anchors: tuple[RingAnchor, ...]
    switched_at: int = 0
    """When `issuing` last became another one, Unix seconds."""
    leaving: tuple[RingAnchor, ...] = ()
    """No client is told of these any more; their keys are still to be destroyed."""
    unaudited: tuple[AnchorCreated | AnchorSwitched | AnchorRetired | KeyGenerated | CertificateIssued, ...] = ()
    """What has happened and is not on the audit log yet: a proxy that runs writes that itself."""

    @property
    def issuer(self) -> RingAnchor:
        """The one that signs voice certificates."""
        return next(each for each in self.anchors if each.id == self.issuing)

    @property
    def newest(self) -> RingAnchor:
        """The one that was made last."""
        return self.anchors[-1]

    def to_file(self) -> bytes:
        """Write it as it lies in its file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def parse_ring(data: bytes) -> AnchorRing:
    """Read a ring.  Raises AnchorsUnusable, without the file's name."""
    try:
        ring = msgspec.json.decode(data, type=AnchorRing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = f"is no list of anchors ({error})"
        raise AnchorsUnusable(text) from None
    known = (*ring.anchors, *ring.leaving)
    if ring.format != _FORMAT or not all(_KEY.fullmatch(each.key) for each in known):
        text = "is of a format that this version does not know"
        raise AnchorsUnusable(text)
    if any(each.anchor.anchor_id.hex() != each.id for each in known) or len({each.key for each in known}) != len(known):
        text = "names an anchor under another id than its keys have, or a key twice"
        raise AnchorsUnusable(text)
    if ring.issuing not in {each.id for each in ring.anchors}:
        text = "names an issuing anchor that it does not hold"
        raise AnchorsUnusable(text)
    return ring


def load_ring(path: Path) -> AnchorRing | None:
    """Read the ring; None where no anchor was ever replaced.  Raises AnchorsUnusable, naming the file."""
    try:
        return parse_ring(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f"the list of anchors {path} cannot be read ({error.strerror}): restore it from its backup"
    except AnchorsUnusable as error:
        text = f"the list of anchors {path} {error}: restore it from its backup"
    raise AnchorsUnusable(text)


def issuing_anchor(path: Path) -> tuple[str, Path, str | None]:
    """Give what issues now: its key's name in the token, its sealed seed, and its id where the ring tells it."""
    ring = load_ring(path)
    if ring is None:
        return KeyName.ANCHOR, path.with_name(_FIRST_SEED), None
    return ring.issuer.key, path.with_name(seed_of(ring.issuer.key)), ring.issuing


def seed_of(key: str) -> str:
    """Give the file, beside the ring, with the sealed seed of the anchor whose key has this name."""
    return _FIRST_SEED.replace("anchor", f"anchor{key.removeprefix(KeyName.ANCHOR)}", 1)


def next_key(ring: AnchorRing) -> str:
    """Give the name of the next anchor's key.  None is used twice: the newest anchor never leaves."""
    numbers = [int(_KEY.sub(r"\1", each.key) or 1) for each in (*ring.anchors, *ring.leaving)]
    return f"{KeyName.ANCHOR}-{max(numbers) + 1}"


def is_anchor_key(name: str) -> bool:
    """Whether a key of the token has the name of an anchor's."""
    return _KEY.fullmatch(name) is not None
