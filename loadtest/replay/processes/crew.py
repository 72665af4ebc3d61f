"""Which processes a proxy consists of: the one that was started, its workers, its token processes.

Workers are children of the first as token processes are, and carry calls as it would alone: what they use is the
proxy's.  A child is known by its command line, which may be read of anybody's process.
"""

from collections.abc import Iterable
from pathlib import Path

from loadtest.replay.plan import Watched
from loadtest.replay.processes.looking import children_of

TOKEN_PROCESS = "sottovoce.app.token_process"  # noqa: S105  a module's name
_PROC = Path("/proc")


def watched_of(proxies: Iterable[int]) -> Watched:
    """Give all processes of these proxies; those of them that may not be looked at have no children."""
    first = tuple(dict.fromkeys(proxies))
    everybody = dict.fromkeys((*first, *(child for pid in first for child in children_of(pid))))
    tokens = tuple(pid for pid in everybody if _is_token_process(pid))
    return Watched(proxy=tuple(pid for pid in everybody if pid not in tokens), token=tokens)


def _is_token_process(pid: int) -> bool:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return TOKEN_PROCESS.encode() in words
