"""One more token for a directory that is there: made, told of to clients, and only then used.

    add ─▶ clients get the anchors and CAs of all ─▶ join ─▶ the proxy starts anew, and uses it

A client has to know a token before it meets it: any token's CA may issue the next TLS certificate, and its anchor takes
over when another's cannot.  So the token is made and published first, and the configuration names it in a step of its
own.  What is made lies where nobody looks until it is whole.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from sottovoce.app.anchors import Place, locked, place_of, tell_audit_log
from sottovoce.app.doctor.sockets import locker_of
from sottovoce.app.hsm.opening import DEADLINE_SECONDS, Tokens, TokensRefused, opened, patient, tokens_of
from sottovoce.app.hsm.token_child import SERVING, AskServing
from sottovoce.app.initialise import (
    MadeToken,
    certificate_events,
    first_ring,
    key_events,
    made_token,
    serving_keys_of,
    write_own,
)
from sottovoce.app.places import ANCHORS, CA_CERTIFICATE, SERVING_LIST, TokenPlaces, new_node
from sottovoce.app.staging import replace_file, sync_tree, write_new
from sottovoce.hsm import HsmConfig, NodeConfig, NodeName, configuration_text, new_configuration
from sottovoce.identity import ServingKeys, format_serving_keys, load_anchors, load_serving_keys
from sottovoce.pki import certificate_pem
from sottovoce.primitives import one_line
from sottovoce.session import format_anchor_file, parse_anchor_file
from sottovoce.settings import build, tokens_text

_FOLDERS: Final = ("certs", "keys", "secrets", "hsm")


class TokenAdded(msgspec.Struct, frozen=True, kw_only=True):
    """How far a new token has come."""

    name: str
    anchor_file: str
    ca_file: str
    """What clients are given: those two."""
    made: bool
    """Whether it was made just now."""
    joined: bool
    """Whether the configuration names it."""
    tokens: tuple[str, ...]
    """All that the configuration names."""
    quorum: int
    """On how many of these a new key has to be proved."""
    has_keys: bool
    """Whether the others hold keys that it has not."""
    proxy_pid: int | None
    """The proxy that runs over this directory; 0 where its id does not show."""


async def add_token(directory: Path, name: str, *, join: bool, progress: Callable[[str], None]) -> TokenAdded:
    """Make a token of SoftHSM and publish its keys, unless that was done; `join` has the configuration name it.

    Raises SottovoceError.
    """
    tokens = tokens_of(directory)
    _refuse_unfit(tokens, name)
    if name in tokens.places:
        return _added(tokens, name, made=False)
    joined = _with_token(tokens, name)
    with locked(place_of(directory)):
        node = HsmConfig(nodes={name: new_node(name)}).resolved(tokens.base).nodes[name]
        places = TokenPlaces(name, node, f"hsm.nodes.{name}")
        is_there = Path(node.softhsm_config).exists()  # noqa: ASYNC240  a command waits for nobody
        if not is_there:
            _refuse_taken(places)
            await _make(tokens, places, progress)
        if join:
            replace_file(tokens.file.resolve(), joined.encode(), tokens.file.stat().st_mode & 0o777)
            tokens = tokens_of(directory)
            place = place_of(directory, name)
            place.hand_out(place.ring())
    return _added(tokens, name, made=not is_there)


def _added(tokens: Tokens, name: str, *, made: bool) -> TokenAdded:
    running = locker_of(Path(tokens.configuration.audit.file))
    return TokenAdded(
        name=name,
        anchor_file=str(tokens.base / ANCHORS),
        ca_file=str(tokens.base / CA_CERTIFICATE),
        made=made,
        joined=name in tokens.places,
        tokens=tuple(tokens.places),
        quorum=tokens.configuration.hsm.needed,
        has_keys=tokens.inventory.exists(),
        proxy_pid=None if running is None else running.pid,
    )


def _refuse_unfit(tokens: Tokens, name: str) -> None:
    try:
        msgspec.convert(name, NodeName)
        msgspec.convert(msgspec.to_builtins(new_node(name)), NodeConfig)
    except msgspec.ValidationError:
        text = f"{one_line(name)} cannot be a token's name: write up to 22 of a to z, 0 to 9 and -, a letter first"
        raise TokensRefused(text) from None
    if tokens.configuration.hsm.seal is not None:
        text = (
            "the PINs of this directory's tokens are sealed, and a new one's would not be among them: "
            "make the token before the seal"
        )
        raise TokensRefused(text)


def _with_token(tokens: Tokens, name: str) -> str:
    """Give the configuration's text with the token in it.  Raises ConfigurationInvalid, TokensRefused."""
    text = tokens.file.read_text("utf-8-sig")
    hsm = build(tomllib.loads(text)).hsm
    added = tokens_text({**({} if hsm.nodes else hsm.all_nodes), name: new_node(name)})
    whole = f"{text.rstrip()}\n{added}"
    try:
        table = tomllib.loads(whole)
    except tomllib.TOMLDecodeError:
        text = f"{tokens.file} has [hsm] or its tokens in one line: write them as sections [hsm.nodes.NAME]"
        raise TokensRefused(text) from None
    build(table)
    return whole


def _refuse_taken(places: TokenPlaces) -> None:
    config = places.config
    for path in (Path(config.softhsm_config).parent, Path(config.keys), Path(config.pin_file), Path(config.issuing)):
        if path.exists():
            text = f"{path} is there already: move it away (it may belong to a token), or choose another name"
            raise TokensRefused(text)


async def _make(tokens: Tokens, places: TokenPlaces, progress: Callable[[str], None]) -> None:
    """Make the token beside its places, tell everybody of it, and put it there."""
    serving = await _serving_of_all(tokens, progress)
    with _stage(tokens.base, places.name) as stage:
        node = new_node(places.name)
        for folder in (*_FOLDERS, node.keys, str(Path(node.softhsm_config).parent)):
            (stage / folder).mkdir(mode=0o700)
        new_configuration(stage / node.softhsm_config)
        config = patient(HsmConfig(nodes={places.name: node})).resolved(stage)
        staged = TokenPlaces(places.name, config.nodes[places.name], places.section)
        progress("making a token in SoftHSM, and seven keys")
        made = await made_token(config, staged, tokens.configuration.identity.names)
        write_own(made)
        events = (*key_events(stage, made), *certificate_events(made.keys))
        ring = msgspec.structs.replace(first_ring(made), unaudited=events)
        write_new(staged.anchor_list, ring.to_file(), 0o600)
        (stage / node.softhsm_config).write_text(configuration_text(Path(places.config.softhsm_config)))
        sync_tree(stage)
        progress("publishing its keys beside the others'")
        _publish(tokens, made, serving)
        for path in (node.keys, node.pin_file, node.issuing, str(Path(node.softhsm_config).parent)):  # the token last
            (stage / path).rename(tokens.base / path)
    await tell_audit_log(Place(tokens.base, "", tokens.configuration, places), ring)


async def _serving_of_all(tokens: Tokens, progress: Callable[[str], None]) -> dict[str, ServingKeys]:
    """Give the serving keys of the tokens that are there: of one alone, there is no list yet."""
    listed = load_serving_keys(tokens.base / SERVING_LIST)
    if listed is not None:
        return listed
    names = list(tokens.places)
    if len(names) > 1:
        text = f"{tokens.base / SERVING_LIST} is missing: restore it from its backup"
        raise TokensRefused(text)
    progress("asking the token that is there for its public keys")
    async with opened(tokens, names) as (token, _):
        return {names[0]: await token.call(SERVING, AskServing(), deadline_seconds=DEADLINE_SECONDS)}


def _publish(tokens: Tokens, made: MadeToken, serving: dict[str, ServingKeys]) -> None:
    """Tell clients and tokens of the new one; what a command that was killed has told of is told no more."""
    for name in tokens.places:  # the anchor file alone will not say any more which of its anchors is whose
        place = place_of(tokens.file, name)
        if not place.list_file.exists():
            place.write(place.ring())
    anchors = tokens.base / ANCHORS
    text = format_anchor_file([*load_anchors(anchors), made.anchor])
    parse_anchor_file(text)
    roots = tokens.base / CA_CERTIFICATE
    known = roots.read_bytes().rstrip(b"\n") + b"\n"
    both = {**serving, made.places.name: serving_keys_of(made.keys)}
    replace_file(tokens.base / SERVING_LIST, format_serving_keys(both), 0o644)
    replace_file(roots, known + certificate_pem(made.keys.certificates.root), 0o644)
    replace_file(anchors, text, 0o644)


@contextmanager
def _stage(base: Path, name: str) -> Generator[Path]:
    """Give a directory beside the others that is gone when the block ends; what a killed command has left goes, too."""
    prefix = f".{name}.new-"
    for left in base.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    stage = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
