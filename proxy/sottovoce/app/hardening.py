"""What the proxy's process asks of the kernel before it holds a key."""

import ctypes
import resource
import signal

from sottovoce.primitives import SottovoceError

_PR_SET_DUMPABLE = 4
_LEAST_FILES = 64
"""With fewer a proxy may start, or fail anywhere on its way, and has no room for calls."""


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
