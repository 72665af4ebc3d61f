"""The proxy replaced by a newer one in the same process, with its sockets and its workers.

    SIGUSR2 ─▶ the new program checks the configuration ─▶ workers wait ─▶ execv ─▶ new workers begin ─▶ the old drain

What the new program says against the configuration is what keeps it from taking over.  From `execv` until its tokens
are open, some seconds at most, calls go on and new ones come as far as the signature, which waits.
"""

import subprocess
from collections.abc import Callable, Mapping

import msgspec
import trio

from sottovoce.app.serving.parts import Parts
from sottovoce.app.workers import Handover, NotPaused, Workers
from sottovoce.app.workers.handover import ADMIN, addresses_of
from sottovoce.edge import parse_address
from sottovoce.observe import events
from sottovoce.primitives import SottovoceError, one_line
from sottovoce.settings import Configuration

_CHECK_SECONDS = 60.0
_MAX_REASON = 400
UNDER_WAY = "one is under way already, and goes on: ask again once it is over"
STARTING = "the proxy is only just starting: ask again when proxy.ready is logged"
"""Also where it starts to take another's place: what was installed after that is not what it runs."""


def held_address(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Say which address of those `after` is another one at a port that old workers have in use; or nothing.  Pure."""
    held = {parse_address(address).port for name, address in before.items() if name != ADMIN}
    for name, address in after.items():
        is_taken_over = address in before.values() if name != ADMIN else address == before.get(ADMIN)
        if (port := parse_address(address).port) and port in held and not is_taken_over:
            return f"{name}.address: old workers hold port {port}, so {address} cannot be bound: restart instead"
    return ""


def in_one_line(said: str) -> str:
    """Make one line of what a check printed: problems, and indented below each its remedy.  Pure."""
    lines = [line for line in said.splitlines() if line.strip()]
    marked = "".join(f"{'; ' if line.startswith(' ') else ' | '}{line.strip()}" for line in lines)
    return one_line(marked.removeprefix(" | "), max_characters=_MAX_REASON)


class Program(msgspec.Struct, frozen=True):
    """How this program is run again: both are command lines."""

    serve: tuple[str, ...]
    check: tuple[str, ...]
    """Ends with 0 where the configuration can be served by what is installed now."""


class Upgrade:
    """Tries, when it is asked to."""

    def __init__(self, parts: Parts, program: Program | None, reread: Callable[[], Configuration]) -> None:
        """Take what is to be replaced, and by what; `reread` gives the configuration that this will read."""
        self._reread = reread
        self._parts = parts
        self._program = program

    async def begin(self) -> Handover | None:
        """Give what the next program is to take over, once nothing is under way; None where it is not to: it says why.

        After that this program has to end, and nothing more may be asked of its parts.
        """
        if reason := self._why_not() or await self._checked() or await self._held():
            self._refuse(reason)
            return None
        carrier = self._parts.carrier
        if not isinstance(carrier, Workers):
            return None
        self._parts.logger.info(events.REPLACEMENT_BEGUN, workers=len(carrier.crew.members))
        try:
            await carrier.pause()
        except NotPaused as error:
            self._refuse(str(error))
            return None
        handover = carrier.hand_over()
        admin = self._parts.hand_over_admin()
        ready_file = self._parts.configuration.process.ready_file
        return msgspec.structs.replace(handover, sockets={**handover.sockets, ADMIN: (admin,)}, ready_file=ready_file)

    def pass_over(self) -> None:
        """Say that it was asked for again while it is being tried."""
        self._refuse(UNDER_WAY)

    def _why_not(self) -> str:
        if self._program is None or not isinstance(self._parts.carrier, Workers):
            return "this process carries its calls itself: set process.workers, and restart once"
        if self._parts.sealing.status is not None:
            return "the tokens' PINs are in this process alone, and would be gone: restart, and unseal"
        return ""

    async def _checked(self) -> str:
        """Have the program that is installed now look at the configuration; give what it has against it."""
        if self._program is None:
            return ""
        with trio.move_on_after(_CHECK_SECONDS):
            try:
                done = await trio.run_process(
                    self._program.check, check=False, stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True
                )
            except OSError as error:
                return f"{self._program.check[0]} cannot be run ({error.strerror})"
            if not done.returncode:
                return ""
            said = in_one_line((done.stderr or done.stdout).decode(errors="replace"))
            return said or f"the check ended with status {done.returncode}"
        return f"the check took more than {_CHECK_SECONDS:.0f} s"

    async def _held(self) -> str:
        """Say which address could not be bound because of the workers that go on."""
        try:
            fresh = await trio.to_thread.run_sync(self._reread, abandon_on_cancel=True)
        except SottovoceError:
            return ""  # the program that is to read it can
        return held_address(addresses_of(self._parts.configuration), addresses_of(fresh))

    def _refuse(self, reason: str) -> None:
        self._parts.logger.error(events.REPLACEMENT_REFUSED, reason=reason)
