"""When certificates are renewed: at two thirds of their life, a little earlier for some than for others.

Dates are compared with the wall clock, which may be set while we sleep.  So nobody sleeps longer than a minute at a
time, and a clock that was set back to before a certificate begins makes it due as well.  A renewal that fails is tried
again for as long as it takes, at most once a minute: the certificate in use goes on meanwhile.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import NoReturn

import msgspec
import trio

from sottovoce.primitives import Entropy, SottovoceError
from sottovoce.transport import Clock

WAKE_SECONDS = 60.0
_FIRST_ATTEMPTS = 3
_DUE_SHARE = 2 / 3
_JITTER_SHARE = 0.05
"""Of a certificate's life: how much earlier it may be renewed, so that the proxies of a restart do not ask at once."""
_BACK_TOLERANCE_SECONDS = 300
_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_SHORTEST_SLEEP_SECONDS = 1.0
_FRACTION_BYTES = 4
_FRACTIONS = 1 << 32


class Validity(msgspec.Struct, frozen=True):
    """From when to when a certificate is valid, Unix seconds."""

    not_before: float
    not_after: float


class CertificateRenewed(msgspec.Struct, frozen=True, tag="certificate_renewed"):
    """A certificate was issued and is in use.  `serial` and `sha256` (of its bytes) are hexadecimal; Unix seconds."""

    serial: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    sha256: str
    anchor: str = ""
    """Of a voice certificate: the id of its anchor, hexadecimal."""
    node: str = ""
    """Of a voice certificate: the node whose keys it is for; of a TLS certificate: the one that issued it."""


class RenewalFailed(msgspec.Struct, frozen=True, tag="renewal_failed"):
    """None could be had; it is tried again.  `not_after` is the end of the one in use, 0 without one."""

    reason: str
    retry_seconds: float
    """0: not before the next renewal."""
    not_after: int
    node: str = ""
    """Where others got theirs: the node that is left without."""


RenewalEvent = CertificateRenewed | RenewalFailed


class Keeper(ABC):
    """Keeps a certificate that is valid: gets the first one (`first`), then renews it for ever (`run`)."""

    def __init__(self, report: Callable[[RenewalEvent], None], clock: Clock, entropy: Entropy) -> None:
        """Take whom to tell."""
        self._report = report
        self._clock = clock
        self._entropy = entropy
        self._validity = Validity(0, 0)
        self._sleeping = trio.lowlevel.ParkingLot()

    @property
    def not_after(self) -> float:
        """When the certificate in use ends, Unix seconds; 0 before the first."""
        return self._validity.not_after

    @property
    def validity(self) -> Validity:
        """From when to when the certificate in use is valid; both 0 before the first."""
        return self._validity

    async def first(self) -> None:
        """Get the first certificate.  Raises SottovoceError after a few tries."""
        self._validity = await attempt(self._renew, self._failed, _FIRST_ATTEMPTS)

    async def run(self) -> NoReturn:
        """Renew until cancelled; it may be run again.  A failure is reported and tried again, never raised.

        Where there is no certificate that is valid, it gets one at once.
        """
        if self._clock.wall() >= self._validity.not_after:
            self._validity = await _until_renewed(self._renew, self._failed)
        await renew_for_ever(self._validity, self._renew, self._failed, self._clock, self._entropy, self._sleeping)

    def renew_now(self) -> None:
        """Have `run` renew without waiting until that is due; no more than one that is under way already."""
        self._sleeping.unpark_all()

    @abstractmethod
    async def _renew(self) -> Validity:
        """Get a certificate, take it into use, and report it."""

    def _failed(self, error: SottovoceError, retry_seconds: float) -> None:
        self._report(RenewalFailed(str(error), retry_seconds, int(self.not_after)))


Failed = Callable[[SottovoceError, float], None]
"""Is told why an attempt failed, and in how many seconds the next one follows."""


def due_at(validity: Validity, entropy: Entropy) -> float:
    """Choose the Unix time at which to renew."""
    fraction = int.from_bytes(entropy.random(_FRACTION_BYTES)) / _FRACTIONS
    life = validity.not_after - validity.not_before
    return validity.not_before + life * (_DUE_SHARE - _JITTER_SHARE * fraction)


async def renew_for_ever(  # noqa: PLR0913, PLR0917  the parts of a Keeper
    validity: Validity,
    renew: Callable[[], Awaitable[Validity]],
    failed: Failed,
    clock: Clock,
    entropy: Entropy,
    sleeping: trio.lowlevel.ParkingLot,
) -> NoReturn:
    """Call `renew` each time that it is due, or when somebody wakes who is `sleeping`.

    `validity` is that of the certificate in use now.
    """
    while True:
        await _sleep_until_due(validity, clock, entropy, sleeping)
        validity = await _until_renewed(renew, failed)


async def attempt(renew: Callable[[], Awaitable[Validity]], failed: Failed, attempts: int) -> Validity:
    """Call `renew` up to `attempts` times: a short fault does not fail a start.  Raises the last error."""
    for number in range(attempts - 1):
        try:
            return await renew()
        except SottovoceError as error:
            failed(error, _RETRY_SECONDS[number])
            await trio.sleep(_RETRY_SECONDS[number])
    return await renew()


async def _sleep_until_due(
    validity: Validity, clock: Clock, entropy: Entropy, sleeping: trio.lowlevel.ParkingLot
) -> None:
    due = due_at(validity, entropy)
    wall = clock.wall()
    while True:
        with trio.move_on_after(max(_SHORTEST_SLEEP_SECONDS, min(WAKE_SECONDS, due - wall))):
            await sleeping.park()
            return  # somebody does not want to wait
        wall = clock.wall()
        if wall >= due or wall < validity.not_before - _BACK_TOLERANCE_SECONDS:
            return


async def _until_renewed(renew: Callable[[], Awaitable[Validity]], failed: Failed) -> Validity:
    failures = 0
    while True:
        try:
            return await renew()
        except SottovoceError as error:
            seconds = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
            failures += 1
            failed(error, seconds)
        await trio.sleep(seconds)
