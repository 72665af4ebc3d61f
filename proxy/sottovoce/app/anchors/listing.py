"""What anchors a directory has: which issues, and until when certificates of the others may be valid."""

import time
from pathlib import Path

import msgspec

from sottovoce.app.anchors.place import Place, place_of
from sottovoce.app.doctor.sockets import locker_of
from sottovoce.audit import AuditError, read_events
from sottovoce.identity import MAX_VOICE_CERTIFICATE_SECONDS, AnchorRing, RingAnchor
from sottovoce.session import CLOCK_TOLERANCE_SECONDS

_ISSUED = "certificate_issued"


class AnchorSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor; its id is hexadecimal."""

    id: str
    node: str
    """The token's name in the configuration."""
    key: str
    """Its P-384 key's name in the token."""
    authorities: tuple[str, ...]
    is_issuing: bool
    valid_until: int | None
    """Of one that has issued and does no more: until when a client may take its certificates, Unix seconds."""


class AnchorsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A token's anchors, the oldest first, after whatever was done or would be done; or those of every token."""

    directory: str
    anchor_file: str
    anchors: tuple[AnchorSeen, ...]
    changed: bool = False
    """Whether this command has changed, or would change, anything."""
    retired: str | None = None
    """The id of the one that has gone, or would go."""
    proxy_pid: int | None = None
    """The proxy that runs over this directory; 0 where its id does not show."""

    @property
    def issuer(self) -> AnchorSeen:
        """The one that issues, of the first token."""
        return next(each for each in self.anchors if each.is_issuing)


def list_anchors(directory: Path, node: str = "") -> AnchorsSeen:
    """Look at the anchors of a token, or of every token; changes nothing.  Raises SottovoceError."""
    first = place_of(directory, node)
    names = [node] if node else list(first.configuration.hsm.all_nodes)
    places = [place_of(directory, name) for name in names]
    anchors = tuple(anchor for place in places for anchor in seen(place, place.ring()).anchors)
    return msgspec.structs.replace(seen(first, first.ring()), anchors=anchors)


def seen(place: Place, ring: AnchorRing, *, changed: bool = False, retired: str | None = None) -> AnchorsSeen:
    """Describe a ring."""
    running = locker_of(Path(place.configuration.audit.file))
    return AnchorsSeen(
        directory=str(place.base),
        anchor_file=str(place.anchor_file),
        anchors=tuple(
            AnchorSeen(
                id=each.id,
                node=place.token.name,
                key=each.key,
                authorities=each.authorities,
                is_issuing=each.id == ring.issuing,
                valid_until=None if each.id == ring.issuing else valid_until(place, ring, each) or None,
            )
            for each in ring.anchors
        ),
        changed=changed,
        retired=retired,
        proxy_pid=None if running is None else running.pid,
    )


def valid_until(place: Place, ring: AnchorRing, anchor: RingAnchor) -> int:
    """Give when the last client stops taking voice certificates of an anchor that does not issue; 0: none was issued.

    The audit log knows each certificate.  Where it does not tell, the longest that one may live is counted from the
    last change on.
    """
    if not ring.switched_at:
        return 0  # it was made, and has not issued yet
    try:
        ends = [
            int(str(record.fields["not_after"]))
            for record in read_events(place.configuration.audit.file, _ISSUED)
            if record.fields.get("kind") == "voice" and record.fields.get("anchor", "") in {anchor.id, ""}
        ]
    except (AuditError, ValueError, KeyError):
        ends = []
    until = max(ends, default=min(ring.switched_at, int(time.time())) + MAX_VOICE_CERTIFICATE_SECONDS)
    return until + CLOCK_TOLERANCE_SECONDS
