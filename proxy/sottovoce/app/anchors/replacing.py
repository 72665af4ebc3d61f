"""The three steps.  Each looks at how things stand, says what prevents it, and is finished by being run again."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from sottovoce.app.anchors.auditing import tell_audit_log
from sottovoce.app.anchors.listing import AnchorsSeen, seen, valid_until
from sottovoce.app.anchors.place import AnchorsRefused, Place, locked, place_of
from sottovoce.app.staging import replace_file
from sottovoce.app.token_process import COMMAND
from sottovoce.audit import AnchorCreated, AnchorRetired, AnchorSwitched
from sottovoce.hsm import Cluster, open_token
from sottovoce.identity import (
    CREATE_ANCHOR,
    DESTROY_ANCHOR,
    PROVE_ANCHOR,
    AnchorRing,
    CreateAnchor,
    DestroyAnchor,
    ProveAnchor,
    RingAnchor,
    check_authorities,
    next_key,
    seed_of,
)
from sottovoce.session import Anchor

DEADLINE_SECONDS = 90.0
wall: Callable[[], float] = time.time


async def rotate(directory: Path, *, node: str = "", dry_run: bool, progress: Callable[[str], None]) -> AnchorsSeen:
    """Make a further anchor and hand it out beside the old one, which goes on issuing.  Raises SottovoceError.

    `node` names the token, here and below; without it the first is meant.
    """
    place = place_of(directory, node)
    with locked(place):
        ring = place.ring()
        if len(ring.anchors) > 1:
            return await _under_way(place, ring, dry_run=dry_run)
        names = place.configuration.identity.names
        check_authorities(names)
        if dry_run:
            return seen(place, ring, changed=True)
        async with _token(place) as token:
            ring = await _swept(place, ring, token)
            await _prove(token, ring.issuer)
            progress("making two keys, one in the token and one sealed under it")
            fresh = await _made(place, token, next_key(ring), names)
        created = AnchorCreated(anchor=fresh.id, key=fresh.key, token=place.token.config.token)
        ring = msgspec.structs.replace(
            ring, anchors=(*ring.anchors, fresh), unaudited=(*ring.unaudited, created), switched_at=0
        )
        place.write(ring)
        return seen(place, await tell_audit_log(place, ring), changed=True)


async def switch(directory: Path, *, node: str = "", back: bool, dry_run: bool) -> AnchorsSeen:
    """Have voice certificates issued under the newest anchor, or `back` under the oldest.  Raises SottovoceError."""
    place = place_of(directory, node)
    with locked(place):
        ring = place.ring()
        if len(ring.anchors) == 1:
            text = f"there is one anchor only, which issues: sottovoce anchor rotate {place.words} makes another"
            raise AnchorsRefused(text)
        target = ring.anchors[0] if back else ring.newest
        changed = target.id != ring.issuing
        if not dry_run and not changed:
            await tell_audit_log(place, ring)
        if dry_run or not changed:
            return seen(place, msgspec.structs.replace(ring, issuing=target.id), changed=changed)
        async with _token(place) as token:
            await _prove(token, target)
        place.hand_out(ring)
        switched = AnchorSwitched(anchor=target.id, previous=ring.issuing)
        ring = msgspec.structs.replace(
            ring, issuing=target.id, switched_at=int(wall()), unaudited=(*ring.unaudited, switched)
        )
        place.write(ring)
        return seen(place, await tell_audit_log(place, ring), changed=True)


async def retire(directory: Path, *, node: str = "", dry_run: bool) -> AnchorsSeen:
    """Hand the oldest anchor out no longer and destroy its keys, once nobody needs it.  Raises SottovoceError."""
    place = place_of(directory, node)
    with locked(place):
        ring = place.ring()
        if len(ring.anchors) == 1 and not ring.leaving:
            text = f"there is one anchor only: sottovoce anchor rotate {place.words} makes its successor first"
            raise AnchorsRefused(text)
        if len(ring.anchors) > 1:
            _refuse_early(place, ring)
            ring = _without_oldest(place, ring)
        gone = ring.leaving[-1].id
        if dry_run:
            return seen(place, ring, changed=True, retired=gone)
        async with _token(place) as token:
            await _prove(token, ring.issuer)
            place.write(ring)
            ring = await _swept(place, ring, token)
        return seen(place, await tell_audit_log(place, ring), changed=True, retired=gone)


async def _under_way(place: Place, ring: AnchorRing, *, dry_run: bool) -> AnchorsSeen:
    """A further anchor is there already: see to it that it is handed out, and make no third."""
    if ring.issuing == ring.newest.id:
        text = (
            f"anchor {ring.anchors[0].id[:16]} is still handed out beside its successor: "
            f"sottovoce anchor retire {place.words} --yes comes first"
        )
        raise AnchorsRefused(text)
    if not dry_run:
        place.hand_out(ring)
        await tell_audit_log(place, ring)
    return seen(place, ring)


def _refuse_early(place: Place, ring: AnchorRing) -> None:
    old = ring.anchors[0]
    if ring.issuing == old.id:
        text = f"anchor {old.id[:16]} issues voice certificates: sottovoce anchor switch {place.words} comes first"
        raise AnchorsRefused(text)
    until = valid_until(place, ring, old)
    if wall() <= until:
        day = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(until))
        text = f"calls may run under certificates of anchor {old.id[:16]} until {day} UTC: run this after that"
        raise AnchorsRefused(text)


def _without_oldest(place: Place, ring: AnchorRing) -> AnchorRing:
    old = ring.anchors[0]
    retired = AnchorRetired(anchor=old.id, key=old.key, token=place.token.config.token)
    return msgspec.structs.replace(
        ring, anchors=ring.anchors[1:], leaving=(*ring.leaving, old), unaudited=(*ring.unaudited, retired)
    )


@asynccontextmanager
async def _token(place: Place) -> AsyncGenerator[Cluster]:
    """Open the token for having keys changed: one login."""

    def ignore(_: object) -> None:
        """A process that is lost fails the call, or the call is made again."""

    async with open_token(
        place.configuration.hsm.alone(place.token.name),
        command=COMMAND,
        files=place.token.files(place.base),
        report=ignore,
        change_keys=True,
    ) as token:
        yield token


async def _prove(token: Cluster, anchor: RingAnchor) -> None:
    await token.call(PROVE_ANCHOR, ProveAnchor(anchor.key, anchor.id), deadline_seconds=DEADLINE_SECONDS)


async def _made(place: Place, token: Cluster, key: str, names: tuple[str, ...]) -> RingAnchor:
    """Make an anchor's keys, write its sealed seed, and see that both can be used from there."""
    made = await token.call(CREATE_ANCHOR, CreateAnchor(key), deadline_seconds=DEADLINE_SECONDS)
    replace_file(place.list_file.with_name(seed_of(key)), made.seed.to_file(), 0o600)
    fresh = RingAnchor.of(Anchor(names, made.classical, made.pq), key)
    await _prove(token, fresh)
    return fresh


async def _swept(place: Place, ring: AnchorRing, token: Cluster) -> AnchorRing:
    """Destroy the keys of those that are leaving: here, or what a command that was killed has left."""
    for each in ring.leaving:
        await token.call(DESTROY_ANCHOR, DestroyAnchor(each.key), deadline_seconds=DEADLINE_SECONDS)
        place.list_file.with_name(seed_of(each.key)).unlink(missing_ok=True)
    if ring.leaving:
        ring = msgspec.structs.replace(ring, leaving=())
        place.write(ring)
    return ring
