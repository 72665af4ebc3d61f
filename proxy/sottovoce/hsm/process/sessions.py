"""The sessions of one login, and what becomes of them when the token drops them or forgets the login.

One *anchor session* logs in and stays open as long as the login lasts: closing the session that logged in logs every
other one out.  When the token has dropped it, or knows nothing of the login any more, whichever worker sees it first
logs in again, under a lock, and the others find it done: one try of the PIN, whatever the number of threads.

Numbers of sessions and of objects begin anew when the library does, so an old number may stand for somebody else's
session, or for another key.  Hence a session carries the number of its login: one of an earlier login is not used, and
one under an earlier anchor is not even closed.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

import pkcs11

from sottovoce.hsm.errors import PinUnreadable, TokenLost
from sottovoce.hsm.process.cryptoki import Module
from sottovoce.hsm.process.faults import handle_of

LogIn = Callable[[int], None]
"""Logs in through the session of that number.  Raises HsmWrongPin, and from then on without a try; PinUnreadable."""
SESSIONS_RENEWED, LOGINS_RENEWED, KEYS_FOUND = "sessions_renewed", "logins_renewed", "keys_found"
"""What is counted."""
KeyPlace = tuple[str, pkcs11.ObjectClass]
"""A key's label, and which half of it."""


class OpenSession:
    """A session, with the login and the anchor it was opened under."""

    __slots__ = ("anchor", "login", "session")

    def __init__(self, session: pkcs11.Session, login: int, anchor: pkcs11.Session) -> None:
        """Made by `TokenSessions` only."""
        self.session = session
        self.login = login
        self.anchor = anchor


class TokenSessions:
    """A token that this process is logged in to, and its sessions.  For several threads."""

    def __init__(
        self, module: Module, token: pkcs11.Token, log_in: LogIn, *, writable: bool, count: Callable[[str], None]
    ) -> None:
        """Log in.  Raises what `log_in` does, and pkcs11.PKCS11Error."""
        self.known: set[KeyPlace] = set()
        """Keys that have been found: if one of them is missing, the token is no longer what it was."""
        self.module = module
        self._token = token
        self._log_in = log_in
        self._writable = writable
        self.count = count
        self._lock = threading.Lock()
        self._login = 0
        self._anchor = token.open()
        log_in(handle_of(self._anchor))

    def open(self) -> OpenSession:
        """Open a session for one thread.  Raises pkcs11.PKCS11Error."""
        with self._lock:
            return self._open()

    def open_writable(self) -> pkcs11.Session:
        """Open a session that may make and destroy keys; its user closes it.  Raises pkcs11.PKCS11Error."""
        return self._token.open(rw=True)

    def forget(self, name: str) -> None:
        """No longer expect a key, which is about to be destroyed."""
        self.known.difference_update([place for place in tuple(self.known) if place[0] == name])

    def is_stale(self, opened: OpenSession) -> bool:
        """Whether a session is of an earlier login, so that neither it nor a key found in it may be used."""
        return opened.login != self._login

    def is_logged_out(self, opened: OpenSession) -> bool:
        """Whether the token has forgotten a session's login, and hides private keys from it, or did until just now.

        Raises pkcs11.PKCS11Error.
        """
        return not self.module.is_logged_in(handle_of(opened.session)) or self.is_stale(opened)

    def renew(self, old: OpenSession, *, is_login_gone: bool) -> OpenSession:
        """Give a new session for one that is of no use, logged in again if that is needed.

        Raises HsmWrongPin, TokenLost and pkcs11.PKCS11Error.
        """
        with self._lock:
            if old.anchor is self._anchor:
                # The token has mostly dropped it already, and says so; what matters is whether a new one opens.
                with suppress(pkcs11.PKCS11Error):
                    old.session.close()
            self._restore_login(is_gone=is_login_gone and old.login == self._login)
            self.count(SESSIONS_RENEWED)
            return self._open()

    def _open(self) -> OpenSession:
        return OpenSession(self._token.open(rw=self._writable), self._login, self._anchor)

    def _restore_login(self, *, is_gone: bool) -> None:
        try:
            is_logged_in = self.module.is_logged_in(handle_of(self._anchor))
        except (pkcs11.SessionHandleInvalid, pkcs11.SessionClosed):
            self._anchor = self._token.open()
            self._login += 1
            is_logged_in = self.module.is_logged_in(handle_of(self._anchor))
        if is_logged_in and not is_gone:
            return
        self._login += 1  # first: whoever sees the new login sees that its own session is of an earlier one
        try:
            self._log_in(handle_of(self._anchor))
        except PinUnreadable as error:  # told here to the caller of one call; the next process tells the operator
            raise TokenLost(str(error)) from None
        self.count(LOGINS_RENEWED)
