"""What the proxy's processes ask of the kernel before they hold a key, and of the interpreter before calls come."""

import ctypes
import gc
import resource
import signal

from sottovoce.primitives import SottovoceError

_PR_SET_DUMPABLE = 4
_LEAST_FILES = 64
"""With fewer a proxy may start, or fail anywhere on its way, and has no room for calls."""


_COLLECT_AFTER = (5_000, 20, 10)
"""Objects that stayed before the youngest are looked at, and how often until the older ones are."""


class TooFewFiles(SottovoceError):
    """The process may not open as many files as a proxy needs."""

    def __init__(self, limit: int) -> None:
        """Name the limit and what raises it."""
        super().__init__(
            f"only {limit} files may be open, which is not enough for a call: raise the limit with ulimit -n 4096, "
            "or LimitNOFILE=4096 in the service's unit"
        )


def harden_process() -> int:
    """Make no core dump, be closed to tracers of the same user, open as many files as allowed; give that number.

    Raises TooFewFiles.

    RLIMIT_CORE alone does not keep a kernel from piping a dump into a crash reporter; a process that is not dumpable
    makes none.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < _LEAST_FILES:
        raise TooFewFiles(hard)
    return hard


def collect_seldom() -> None:
    """Have the garbage collector stop the calls for long but rarely.

    A full collection walks through every object of every connection: 70 ms with two thousand of them.  What a start has
    built is left out of it, and it comes once in a million objects that stayed, not whenever a quarter has been added.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
