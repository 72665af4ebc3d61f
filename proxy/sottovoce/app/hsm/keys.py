"""The keys in a directory's tokens: their own, and those that they hold for others; on which tokens each really is.

What should be there is in the inventory, what is there the tokens say.  Where the two differ, that is told.
"""

import base64
import textwrap
from pathlib import Path

import msgspec

from sottovoce.app.hsm.opening import Opened, Tokens, TokensRefused, opened, tokens_of
from sottovoce.app.hsm.token_child import OWN_KEYS, FoundOwnKeys, OwnKeys
from sottovoce.app.places import TokenPlaces
from sottovoce.hsm import Inventory, KeyFacts, KeyName, KeyState, PublishedKey
from sottovoce.hsm.kinds import KEY_PREFIX
from sottovoce.hsm.operations import FIND, PROVE, Find, Prove
from sottovoce.identity import load_ring
from sottovoce.primitives import ec_spki, one_line

_OWN = {
    KeyName.ANCHOR: "what clients know the proxy by",
    KeyName.SERVING: "signs handshakes",
    KeyName.ROOT_CA: "the root CA",
    KeyName.ISSUING_CA: "issues TLS certificates",
    KeyName.KEK: "seals the ML-DSA seeds, wraps ticket keys",
}
_OWN_KIND, _KEK_KIND = "ecdsa-p384-sha384", "aes-256-gcm"
_STATES = {KeyState.MAKING: "half made", KeyState.USABLE: "in use", KeyState.ENDING: "half destroyed"}


class KeyOnToken(msgspec.Struct, frozen=True, kw_only=True):
    """A key as one token has it."""

    token: str
    state: str
    """`there`, `missing`, `none` (it was never made there), `closed` (the token does not open), or `failed`."""
    public: str = ""
    """The public half of a pair, PEM."""
    reason: str = ""


class KeySeen(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as the inventory and the tokens have it."""

    label: str
    kind: str
    use: str
    state: str
    """`own`, `in use`, `half made`, `half destroyed`, or `unlisted`: no inventory tells of it."""
    tokens: tuple[KeyOnToken, ...]
    made_at: int | None = None
    """Unix seconds."""
    is_shared: bool = False
    """Whether the tokens have the same key, and not one of their own each."""
    is_extractable: bool = False
    """Whether it may leave its token, wrapped under another."""

    @property
    def is_well(self) -> bool:
        """Whether it is where it should be, as far as tokens open."""
        return self.state in {"own", "in use"} and not any(each.state in {"missing", "failed"} for each in self.tokens)


class KeysSeen(msgspec.Struct, frozen=True, kw_only=True):
    """All keys, the tokens' own first, and why some tokens could not be asked."""

    inventory: str
    keys: tuple[KeySeen, ...]
    closed: dict[str, str]


async def list_keys(directory: Path) -> KeysSeen:
    """Look at the inventory and into the tokens.  Raises SottovoceError; HsmError where no token opens."""
    tokens = tokens_of(directory)
    async with opened(tokens, tokens.places) as those:
        return await _look(tokens, those)


async def show_key(directory: Path, label: str) -> KeySeen:
    """Look at one key, and have it prove itself wherever it is.  Raises as `list_keys`, TokensRefused for no key."""
    tokens, name = tokens_of(directory), own_or_label(label)
    async with opened(tokens, tokens.places) as those:
        key = next((each for each in (await _look(tokens, those)).keys if each.label == name), None)
        if key is None:
            raise no_key(label)
        if key.state == "own":
            return key
        asked = [each.token for each in key.tokens if each.state == "there"]
        proofs = await those.ask_each(PROVE, lambda _: Prove(name), only=asked)
    failed = {token: str(error) for token, error in proofs.failed.items()}
    return msgspec.structs.replace(key, tokens=tuple(_with_failure(each, failed) for each in key.tokens))


def no_key(label: str) -> TokensRefused:
    """Give the error for a key that is not there."""
    return TokensRefused(f"there is no key {one_line(label)}: sottovoce hsm key list tells which there are")


def is_own(label: str) -> bool:
    """Whether a label is one of a token's own keys, a later anchor's included."""
    return label in set(KeyName) or label.startswith(f"{KeyName.ANCHOR}-")


def own_or_label(word: str) -> str:
    """Give the label that a person means, who may leave out its beginning."""
    return word if is_own(word) or word.startswith(KEY_PREFIX) else KEY_PREFIX + word


def _with_failure(each: KeyOnToken, failed: dict[str, str]) -> KeyOnToken:
    if each.token not in failed:
        return each
    return msgspec.structs.replace(each, state="failed", reason=failed[each.token])


async def _look(tokens: Tokens, those: Opened) -> KeysSeen:
    listed = Inventory(tokens.inventory)
    own = await _own_keys(tokens, those)
    found = await those.ask_each(FIND, lambda _: Find(KEY_PREFIX))
    closed = those.closed | {name: str(error) for name, error in found.failed.items()}
    there = {name: {facts.label: facts for facts in answer.keys} for name, answer in found.done.items()}
    labels = sorted({key.label for key in listed.keys}.union(*there.values()))
    others = tuple(_seen(label, listed.get(label), there, tokens, closed) for label in labels)
    return KeysSeen(inventory=str(tokens.inventory), keys=(*own, *others), closed=closed)


async def _own_keys(tokens: Tokens, those: Opened) -> tuple[KeySeen, ...]:
    anchors = {name: _anchors(places) for name, places in tokens.places.items()}
    others = (KeyName.SERVING, KeyName.ROOT_CA, KeyName.ISSUING_CA)
    found = await those.ask_each(OWN_KEYS, lambda name: OwnKeys((*anchors[name], *others)))
    names = [*dict.fromkeys(key for keys in anchors.values() for key in keys), *others, KeyName.KEK]

    def on_token(name: str, token: str) -> KeyOnToken:
        reason = those.closed.get(token) or str(found.failed.get(token, ""))
        answer = found.done.get(token)
        if answer is None:
            return KeyOnToken(token=token, state="closed", reason=reason)
        is_there, public = _own_in(answer, name)
        is_expected = not name.startswith(KeyName.ANCHOR) or name in anchors[token]
        return KeyOnToken(
            token=token, state="there" if is_there else "missing" if is_expected else "none", public=public
        )

    return tuple(
        KeySeen(
            label=name,
            kind=_KEK_KIND if name == KeyName.KEK else _OWN_KIND,
            use=_OWN.get(KeyName.ANCHOR if name.startswith(KeyName.ANCHOR) else KeyName(name), ""),
            state="own",
            tokens=tuple(on_token(name, token) for token in tokens.places),
        )
        for name in map(str, names)
    )


def _own_in(answer: FoundOwnKeys, name: str) -> tuple[bool, str]:
    if name == KeyName.KEK:
        return answer.has_kek, ""
    key = answer.keys.get(name)
    return key is not None, "" if key is None else _pem(ec_spki(key.key))


def _anchors(places: TokenPlaces) -> tuple[str, ...]:
    ring = load_ring(places.anchor_list)
    return (str(KeyName.ANCHOR),) if ring is None else tuple(each.key for each in ring.anchors)


def _seen(
    label: str,
    listed: PublishedKey | None,
    there: dict[str, dict[str, KeyFacts]],
    tokens: Tokens,
    closed: dict[str, str],
) -> KeySeen:
    facts = next((keys[label] for keys in there.values() if label in keys), None)

    def on_token(token: str) -> KeyOnToken:
        expected = listed is not None and token in listed.nodes
        known = "" if listed is None else _pem(listed.nodes.get(token, b""))
        if token in closed:
            return KeyOnToken(token=token, state="closed", public=known, reason=closed[token])
        found = there[token].get(label)
        if found is None:
            return KeyOnToken(token=token, state="missing" if expected else "none", public=known)
        if expected and listed is not None and found.public != listed.nodes[token]:
            reason = "it is another key than the one that was made there"
            return KeyOnToken(token=token, state="failed", public=_pem(found.public), reason=reason)
        return KeyOnToken(token=token, state="there", public=_pem(found.public))

    kind = listed.kind if listed is not None else facts.kind if facts is not None else None
    return KeySeen(
        label=label,
        kind=str(kind),
        use="" if kind is None else kind.use.value,
        state="unlisted" if listed is None else _STATES[listed.state],
        tokens=tuple(map(on_token, tokens.places)),
        made_at=None if listed is None else listed.made_at,
        is_shared=listed is not None and listed.is_shared,
        is_extractable=listed.is_extractable if listed is not None else facts is not None and facts.is_extractable,
    )


def _pem(spki: bytes) -> str:
    if not spki:
        return ""
    body = "\n".join(textwrap.wrap(base64.b64encode(spki).decode(), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
