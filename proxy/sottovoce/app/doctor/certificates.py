"""The CA's certificates and the anchor file: their dates, and whether they belong to the token."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from sottovoce.app.doctor.findings import Finding, State, fail, ok, warn
from sottovoce.app.doctor.token_child import Looked
from sottovoce.app.places import ANCHORS, CA_CERTIFICATE, TokenPlaces, shown
from sottovoce.hsm import ONLY_NODE
from sottovoce.identity import IdentityError, load_anchors
from sottovoce.pki import CertificateSeen, describe_pem
from sottovoce.session import anchor_id, matches_any

DAY_SECONDS: Final = 86_400
_SOON_SECONDS: Final = 60 * DAY_SECONDS
_TOLERANCE_SECONDS: Final = 300
_NEW_CA: Final = "make a new directory (sottovoce init DIR) and give clients its certs/ca.pem and certs/anchor.json"
_SET_CLOCK: Final = "set this machine's clock: timedatectl set-ntp true"


def certificate_findings(base: Path, tokens: Iterable[TokenPlaces], wall: float) -> list[Finding]:
    """Look at the dates of issuing and root CAs; one that fails is enough."""
    findings: list[Finding] = []
    for path in (*(each.issuing for each in tokens), base / CA_CERTIFICATE):
        for seen in describe_pem(path.read_bytes()):
            if isinstance(seen, CertificateSeen):
                findings += _dates(shown(path, base), seen, wall)
        if any(each.state is State.FAIL for each in findings):
            break
    return findings or [ok("certificates", "nothing to look at")]


def _dates(what: str, seen: CertificateSeen, wall: float) -> Iterator[Finding]:
    """Judge a certificate's dates at Unix time `wall`."""
    begins, ends = day(seen.not_before), day(seen.not_after)
    if wall < seen.not_before - _TOLERANCE_SECONDS:
        text = f"{what} begins on {begins}, and this machine's clock says {day(wall)}"
        yield fail("clock", text, f"{_SET_CLOCK}; if it is right, the machine that made the certificate was ahead")
    elif wall > seen.not_after:
        yield fail("certificates", f"{what} has expired on {ends}; the clock says {day(wall)}", _NEW_CA)
    elif wall > seen.not_after - _SOON_SECONDS:
        yield warn("certificates", f"{what} expires on {ends}", _NEW_CA)
    else:
        yield ok("certificates", f"{what} is valid until {ends}")


def anchor_findings(base: Path, names: Iterable[str], looked: Mapping[str, Looked]) -> list[Finding]:
    """See that the anchor file is of these tokens, by their names, and stands for the names that clients use."""
    try:
        anchors = load_anchors(base / ANCHORS)
    except IdentityError:
        return []  # the check of the configuration has said so
    known = {each.anchor_id: each for each in anchors}
    for name, each in looked.items():
        own = None if each.anchor is None else anchor_id(*each.anchor)
        if own is not None and own not in known:
            holds = ", ".join(each.hex()[:16] for each in known)
            whose = "this token's" if name == ONLY_NODE else f"token {name}'s"
            what = f"{ANCHORS} holds anchor {holds}, and {whose} is {own.hex()[:16]}: it is another token's file"
            return [fail("anchor", what, f"restore {base / ANCHORS} from this directory's backup")]
    bare = [name for name in names if not any(matches_any(name, each.authorities) for each in anchors)]
    if bare:
        what = f"no anchor stands for {', '.join(bare)}: clients refuse the proxy under that name"
        return [warn("anchor", what, "remove it from identity.names, or make a directory with --host for each name")]
    ids = ", ".join(each.hex()[:16] for each in known)
    whose = "this token's" if ONLY_NODE in looked else f"of tokens {', '.join(looked)}"
    return [ok("anchor", f"{ANCHORS} holds {ids}" + (f", which is {whose}" if looked else ""))]


def day(seconds: float) -> str:
    """Give a date for people, UTC."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "a day that no calendar has"
