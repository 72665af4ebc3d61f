"""`sottovoce anchor`: replaces what clients pin, with overlap.

    rotate ─▶ clients get both ─▶ switch ─▶ the old certificates end ─▶ retire ─▶ clients get the new one alone

Each step is written whole or not at all (`place`), may be run again, and leaves a directory that can be served wherever
it is killed.  The token process that it starts makes, proves and destroys anchors and issues nothing; a proxy may run
meanwhile, and takes what has changed at SIGHUP, or with its next voice certificate.
"""

from sottovoce.app.anchors.auditing import record_anchor_changes, tell_audit_log
from sottovoce.app.anchors.listing import AnchorSeen, AnchorsSeen, list_anchors
from sottovoce.app.anchors.place import AnchorsRefused, Place, locked, place_of
from sottovoce.app.anchors.replacing import retire, rotate, switch

__all__ = [
    "AnchorSeen",
    "AnchorsRefused",
    "AnchorsSeen",
    "Place",
    "list_anchors",
    "locked",
    "place_of",
    "record_anchor_changes",
    "retire",
    "rotate",
    "switch",
    "tell_audit_log",
]
