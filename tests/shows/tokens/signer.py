"""The token process as it is run, with a record of each root that it signs, and sessions that end at a signal.

The record is made where the process counts `roots_signed`, and of that: as many lines as it has counted.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sottovoce.app import token_process
from sottovoce.hsm import Counts, Handler, Start, Worker, run_token_process
from sottovoce.hsm.messages import decode_question
from sottovoce.identity import SIGN_ROOT, SignRoot
from tests.shows.tokens.records import RECORDS, Dropped, Signed, Work, Writer, now

DROP_SESSIONS = signal.SIGUSR1
_COUNTER = "roots_signed.server_verify"
_MAX_SLOTS = 16


class Recorded(Counts):
    """The process's own counters; what they count of ServerVerify roots is written down in the same breath."""

    def __init__(self, counts: Counts, node: str) -> None:
        super().__init__()
        self.work = Work(Path(os.environ[RECORDS]), os.getpid())
        self.writer = Writer(f"token-{node}-{os.getpid()}")
        self._own = counts
        self._node = node
        self._now = threading.local()
        self._guard = threading.Lock()
        self._begun = self._ended = 0

    def add(self, name: str) -> None:
        if name == _COUNTER:
            self.writer.write(Signed(self._node, os.getpid(), self._now.root, self._now.began_at, now()))
        self._own.add(name)

    def snapshot(self) -> dict[str, int]:
        return self._own.snapshot()

    def recording(self, handler: Handler) -> Handler:
        """Have the handler's work noted when it begins and when it ends."""
        respond = handler.respond

        def recorded(worker: Worker, fields: msgspec.Raw) -> bytes:
            self._now.root = decode_question(fields, SignRoot).root.hex()
            self._now.began_at = now()
            self._note(begun=1)
            try:
                return respond(worker, fields)
            finally:
                self._note(ended=1)

        handler.respond = recorded
        return handler

    def _note(self, *, begun: int = 0, ended: int = 0) -> None:
        with self._guard:
            self._begun += begun
            self._ended += ended
            self.work.set(self._begun, self._ended)


def compose(worker: Worker, start: Start, counts: Counts) -> Iterable[Handler]:
    recorded = Recorded(counts, start.node)
    module = ctypes.CDLL(start.module)

    def drop_sessions(*_: object) -> None:
        """Do what a token does that restarts: every session of this process is gone, the login with them."""
        begun = recorded.work.numbers[0]
        slots, count = (ctypes.c_ulong * _MAX_SLOTS)(), ctypes.c_ulong(_MAX_SLOTS)
        module.C_GetSlotList(1, slots, ctypes.byref(count))
        for slot in slots[: count.value]:
            module.C_CloseAllSessions(ctypes.c_ulong(slot))
        ended = recorded.work.numbers[1]
        recorded.writer.write(Dropped(start.node, os.getpid(), max(0, begun - ended), now()))

    signal.signal(DROP_SESSIONS, drop_sessions)
    for handler in token_process.compose(worker, start, recorded):
        yield recorded.recording(handler) if handler.name == SIGN_ROOT.name else handler


if __name__ == "__main__":
    run_token_process(sys.argv[1:], compose)
