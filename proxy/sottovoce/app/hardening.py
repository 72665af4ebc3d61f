"""What the proxy's process asks of the kernel before it holds a key."""

import ctypes
import resource
import signal

_PR_SET_DUMPABLE = 4


def harden_process() -> int:
    """Make no core dump, be closed to tracers of the same user, open as many files as allowed; give that number.

    RLIMIT_CORE alone does not keep a kernel from piping a dump into a crash reporter; a process that is not dumpable
    makes none.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
