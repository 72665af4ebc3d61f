"""What a session waits for and others do: a signature of the HSM, the verdict on a credential.

Each errand is a task of the call; what comes back goes into the session, and `settle` has the call look at what the
session says to it.
"""

from collections.abc import Callable

import trio

from sottovoce.edge.gate import place_of
from sottovoce.edge.services import EdgeServices
from sottovoce.hsm import HsmError
from sottovoce.session import (
    Carriage,
    CredentialCheck,
    Established,
    ServerSession,
    ShownCredential,
    SignatureWanted,
)

_SIGN_PAUSE_SECONDS = 0.1
"""Before the HSM is asked again."""


def still_holds(established: Established | None, carriage: Carriage, credentials: CredentialCheck) -> bool:
    """Whether who was let in may still make this call; of whom nothing is agreed yet, nothing has to hold."""
    identity = None if established is None else established.identity
    return identity is None or credentials.still_holds(identity, carriage.authority.lower(), carriage.path)


class Errands:
    """The errands of one call."""

    __slots__ = ("_client", "_judging", "_services", "_session", "_settle", "_verdict")

    def __init__(
        self,
        session: ServerSession,
        services: EdgeServices,
        client: str,
        settle: Callable[[], None],
    ) -> None:
        """Run errands for `session`; `client` is the peer's address and port."""
        self._session = session
        self._services = services
        self._client = client
        self._settle = settle
        self._judging: trio.CancelScope | None = None
        self._verdict: trio.Event | None = None  # of who waits for one

    @property
    def is_judging(self) -> bool:
        """Whether a credential is with its judge: until it comes back the session is given no record."""
        return self._judging is not None

    async def wait_for_verdict(self) -> None:
        """Wait until no credential is with its judge."""
        if self._verdict is not None:
            await self._verdict.wait()

    def show(self, shown: ShownCredential, nursery: trio.Nursery) -> None:
        """Have a credential judged."""
        self._judging = trio.CancelScope()
        self._verdict = trio.Event()
        nursery.start_soon(self._judge, shown, self._judging)

    def stop(self) -> None:
        """The session is over: nobody waits for a verdict."""
        if self._judging is not None:
            self._judging.cancel()
            self._came_back()

    async def _judge(self, shown: ShownCredential, scope: trio.CancelScope) -> None:
        """Verify signatures in a thread, which takes a millisecond and cannot be cancelled; the wait for one can."""
        with scope:
            judge = self._services.parts.credentials.judge
            verdict = await trio.to_thread.run_sync(judge, shown, limiter=self._services.judging)
            if self._judging is scope:
                self._came_back()
                self._session.provide_verdict(shown, verdict, self._services.clock.now())
                self._settle()

    def _came_back(self) -> None:
        self._judging = None
        if self._verdict is not None:
            self._verdict.set()
            self._verdict = None

    async def prove(self, wanted: SignatureWanted) -> None:
        """Have a leaf signed; ask again as long as the session waits for it."""
        source = place_of(self._client.rpartition(":")[0].strip("[]")).address
        has_failed = False
        while (deadline := self._session.ends_at) is not None:
            remaining = deadline - self._services.clock.now()
            try:
                signed = await self._services.signer.sign(wanted, source, trio.current_time() + remaining)
            except HsmError as error:
                if not has_failed and not self._session.has_ended:
                    self._services.journal.signature_late(self._client, str(error))
                has_failed = True
                await trio.sleep(_SIGN_PAUSE_SECONDS)
                continue
            await self._services.turnstile.go_through()  # a whole batch is signed at the same moment
            self._session.provide_proof(wanted, signed.certificate, signed.proof, self._services.clock.now())
            self._settle()
            return
