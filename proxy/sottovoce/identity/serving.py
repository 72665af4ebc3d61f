"""The serving keys of every node, published together in `keys/serving.json`: whom an anchor may certify.

Each node has serving keys of its own, and whichever node's anchor issues, it issues for all of them: so any node can
serve a client that knows that anchor.  The token process reads the keys here itself; who asks it names a node.

A directory without the file has one token, which certifies its own keys.  Nothing in the file is secret.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from sottovoce.hsm import NodeName
from sottovoce.identity.errors import ServingKeysUnusable
from sottovoce.identity.seeds import SERVING_ALGORITHM
from sottovoce.primitives import PublicKey, SignatureAlgorithm

SERVING_KEYS: Final = "serving_keys"
"""The name in `Start.files` under which the file's path is given, whether there is one or not."""
_FORMAT: Final = "sottovoce.serving-keys.1"


class ServingKeys(msgspec.Struct, frozen=True):
    """The two keys that a node signs roots with: P-384 and ML-DSA-65."""

    classical: PublicKey
    pq: PublicKey


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one node; bytes are base64 in the file."""

    classical: bytes
    pq: bytes

    @property
    def keys(self) -> ServingKeys:
        return ServingKeys(
            PublicKey(SignatureAlgorithm.ECDSA_P384, self.classical), PublicKey(SERVING_ALGORITHM, self.pq)
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    nodes: dict[NodeName, _Entry]


def format_serving_keys(nodes: Mapping[str, ServingKeys]) -> bytes:
    """Write the file, indented, with a newline at its end."""
    entries = {node: _Entry(keys.classical.key, keys.pq.key) for node, keys in nodes.items()}
    return msgspec.json.format(msgspec.json.encode(_File(_FORMAT, entries)), indent=1) + b"\n"


def parse_serving_keys(data: bytes) -> dict[str, ServingKeys]:
    """Read the file: each node's keys, by its name.  Raises ServingKeysUnusable, without the file's name."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = f"is no list of serving keys ({error})"
        raise ServingKeysUnusable(text) from None
    if file.format != _FORMAT:
        text = "is of a format that this version does not know"
        raise ServingKeysUnusable(text)
    nodes = {node: entry.keys for node, entry in file.nodes.items()}
    seen: set[bytes] = set()
    for node, keys in nodes.items():
        for key in (keys.classical, keys.pq):
            if not key.is_valid():
                text = f"has no valid {key.algorithm.name.lower()} key of node {node}"
                raise ServingKeysUnusable(text)
            if key.key in seen:
                text = f"has a key of node {node} twice, but no two nodes share one"
                raise ServingKeysUnusable(text)
            seen.add(key.key)
    return nodes


def load_serving_keys(path: Path) -> dict[str, ServingKeys] | None:
    """Read the file; None where there is none.  Raises ServingKeysUnusable, naming it."""
    try:
        return parse_serving_keys(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f"the list of serving keys {path} cannot be read ({error.strerror}): restore it from its backup"
    except ServingKeysUnusable as error:
        text = f"the list of serving keys {path} {error}: restore it from its backup"
    raise ServingKeysUnusable(text)
