"""Who of a comparison runs on which core, and with which claim to it."""

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import msgspec

from loadtest.peers.children import pinned

PRIORITY = 5
"""Of generator and backend, which must not wait for others: they are what measures."""


class Cores(msgspec.Struct, frozen=True):
    """Who runs where; None: wherever the system puts it."""

    server: int | None
    generator: int | None
    is_prompt: bool
    """Whether generator and backend may have SCHED_RR."""
    is_firm: bool = False
    """Whether servers have it, too, on a machine that does other things."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the figures must know, a sentence each."""
        if self.server is None:
            pinned = "WARNING: fewer than two cores: nothing is pinned, servers and generator take each other's time."
        else:
            pinned = f"Servers on core {self.server}; generator and backend on core {self.generator}."
        prompt = (
            f"Generator and backend run as SCHED_RR {PRIORITY}."
            if self.is_prompt
            else "SCHED_RR is not permitted here: generator and backend run as everybody, and may be late."
        )
        if not (self.is_firm and self.is_prompt):
            return pinned, prompt
        firm = "Servers, too: of a core that is full the system takes a twentieth back, in stalls of up to 50 ms."
        return pinned, prompt, firm

    def for_server(self, command: Sequence[str]) -> list[str]:
        """Give the command that runs `command` where servers run."""
        return _command(self.server, PRIORITY if self.is_prompt and self.is_firm else 0, command)

    def for_backend(self, command: Sequence[str]) -> list[str]:
        """Give the command that runs `command` where generator and backend run."""
        return _command(self.generator, PRIORITY if self.is_prompt else 0, command)

    def claim(self, server: int) -> None:
        """Have a server that runs already, by its pid, run where servers do."""
        if self.server is not None:
            os.sched_setaffinity(server, {self.server})
        if self.is_prompt and self.is_firm:
            os.sched_setscheduler(server, os.SCHED_RR, os.sched_param(PRIORITY))

    @contextmanager
    def as_generator(self) -> Generator[None]:
        """Have this process be where the generator runs, until the block ends."""
        cores, policy, priority = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
        try:
            pinned.become(self.generator, PRIORITY if self.is_prompt else 0)
            yield
        finally:
            os.sched_setscheduler(0, policy, priority)
            os.sched_setaffinity(0, cores)


def find_cores(*, is_firm: bool = False) -> Cores:
    """See what this machine permits."""
    cores = sorted(os.sched_getaffinity(0))
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
        os.sched_setscheduler(0, policy, priority)
    except PermissionError:
        is_prompt = False
    else:
        is_prompt = True
    server, generator = cores[:2] if len(cores) > 1 else (None, None)
    return Cores(server, generator, is_prompt, is_firm)


def _command(core: int | None, priority: int, command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", pinned.__name__, pinned.ANY if core is None else str(core), str(priority), *command]
