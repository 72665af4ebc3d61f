"""Directories: of `sottovoce init`, and SoftHSM's."""

from itertools import islice
from pathlib import Path

from sottovoce.app.inspecting.inspection import Inspection, fact
from sottovoce.app.places import ANCHORS, AUDIT_LOG, CONFIGURATION

_OWN_FILE = "token.object"
_MAX_ENTRIES = 10_000


def inspect_folder(path: Path) -> Inspection | None:
    """Take a directory."""
    entries = list(islice(path.iterdir(), _MAX_ENTRIES))
    names = {each.name for each in entries}
    if CONFIGURATION in names:
        facts = [
            fact(name, "there" if (path / name).exists() else "missing")
            for name in (ANCHORS, "certs/ca.pem", *_of_tokens(path), AUDIT_LOG)
        ]
        what = "a directory of sottovoce init; sottovoce doctor says how it is"
        return Inspection("sottovoce directory", what, tuple(facts))
    if _OWN_FILE in names:
        return _token(path, names)
    tokens = [each for each in entries if each.is_dir() and (each / _OWN_FILE).exists()]
    if tokens:
        facts = [fact("token", each.name) for each in tokens]
        return Inspection("SoftHSM tokens", f"{len(tokens)} tokens of SoftHSM (directories.tokendir)", tuple(facts))
    return None


def _of_tokens(path: Path) -> list[str]:
    """Give what belongs to the tokens, by its usual places: of one alone, or of each that has a folder in `hsm`."""
    several = sorted(each.name for each in islice(path.glob("hsm/*/"), _MAX_ENTRIES) if (each / "tokens").is_dir())
    if not several:
        return ["certs/issuing.pem", "secrets/pin", "hsm/tokens"]
    return [
        name for each in several for name in (f"certs/issuing-{each}.pem", f"secrets/{each}.pin", f"hsm/{each}/tokens")
    ]


def _token(path: Path, names: set[str]) -> Inspection:
    objects = sum(name.endswith(".object") for name in names) - 1
    own = (path / _OWN_FILE).stat().st_size
    facts = (fact("objects", objects), fact("token.object", f"{own} bytes"))
    what = "a token of SoftHSM: keys, sealed under its PIN; it is read through SoftHSM alone"
    faults = () if own else ("token.object is empty, so no PIN opens this token; restore it from its backup",)
    return Inspection("SoftHSM token", what, facts, faults)
