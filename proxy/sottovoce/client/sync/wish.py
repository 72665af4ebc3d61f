"""What a user's thread wants of a call's thread, and how it waits for that.

Ctrl-C may strike anywhere in the main thread, between taking a lock and remembering to give it back, too, where the
lock is made of Python.  So nothing but locks in C is used here, and the call's thread is never kept waiting.
"""

import threading
from collections.abc import Callable

_LOOK_SECONDS = 0.1
"""How long the call's thread may take to look at a wish; it takes a tenth of a millisecond."""


class Wish:
    """One attempt after the other at something, until it is done, was in vain, or is withdrawn."""

    __slots__ = ("_answer", "_attempt", "_error", "_is_done", "_is_withdrawn", "_look", "_turn")

    def __init__(self, attempt: Callable[[float], bool]) -> None:
        """`attempt` tells whether it is done, or raises what the user is to get."""
        self._attempt = attempt
        self._turn = threading.Lock()
        self._answer = threading.Lock()
        self._answer.acquire()
        self._look = threading.Lock()  # given back with each attempt
        self._look.acquire()
        self._error: Exception | None = None
        self._is_done = self._is_withdrawn = False

    def try_now(self, now: float) -> bool:
        """Try, in the call's thread; gives whether there is nothing more to try."""
        with self._turn:
            if self._is_done or self._is_withdrawn:
                return True
            try:
                self._is_done = self._attempt(now)
            except Exception as error:  # noqa: BLE001  it is raised where it was wished
                self._error, self._is_done = error, True
            if self._is_done:
                self._answer.release()
            if self._look.locked():
                self._look.release()
            return self._is_done

    def wait(self, seconds: float | None) -> None:
        """Wait in the user's thread.  Raises what came of it, and TimeoutError when nothing had by then.

        Who hardly waits still gets what is there: the call's thread has looked once by then.
        """
        limit = threading.TIMEOUT_MAX if seconds is None else min(max(seconds, 0.0), threading.TIMEOUT_MAX)
        is_done = self._answer.acquire(timeout=limit)
        if not is_done and limit < _LOOK_SECONDS:
            self._look.acquire(timeout=_LOOK_SECONDS)
        if not is_done and self.withdraw():
            raise TimeoutError
        if self._error is not None:
            raise self._error

    def withdraw(self) -> bool:
        """Want it no more; false if it is done."""
        with self._turn:
            self._is_withdrawn = True
            return not self._is_done
