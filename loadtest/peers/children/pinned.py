"""Puts a program on one core and becomes it: `python -m loadtest.peers.children.pinned CORE PRIORITY WORDS…`.

CORE `any` pins nothing.  PRIORITY 0 is the ordinary scheduling, whatever the parent has; more is SCHED_RR, where that
is permitted.  The program may open as many files as the system lets anybody, as each call is two.  As this becomes the
program, the pid stays, and all that the program starts is pinned with it.
"""

import os
import resource
import sys
from contextlib import suppress

ANY = "any"


def become(core: int | None, priority: int) -> None:
    """Have this process run where and how it should."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    policy = os.SCHED_RR if priority else os.SCHED_OTHER
    with suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(priority))


def main() -> None:
    """Become the program."""
    core, priority, *command = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    become(None if core == ANY else int(core), int(priority))
    os.execvp(command[0], command)  # noqa: S606  that is what it is for


if __name__ == "__main__":
    main()
