"""The proxy's own anchors: the file that `init` makes and the operator hands to clients."""

from pathlib import Path

from sottovoce.identity.errors import AnchorsUnusable
from sottovoce.session import Anchor, AnchorFileInvalid, parse_anchor_file


def load_anchors(path: Path) -> tuple[Anchor, ...]:
    """Read an anchor file.  Raises AnchorsUnusable, naming it."""
    try:
        return parse_anchor_file(path.read_bytes())
    except OSError as error:
        text = f"the anchor file {path} cannot be read ({error.strerror}): restore it from its backup"
    except AnchorFileInvalid as error:
        text = f"the anchor file {path}: {error}"
    raise AnchorsUnusable(text)
