"""What a token does of what might be asked of it, beside what its vendor's row claims."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from sottovoce.app.hsm.listing import claims_of
from sottovoce.app.hsm.opening import DEADLINE_SECONDS, Tokens, opened, tokens_of
from sottovoce.app.places import TokenPlaces
from sottovoce.hsm import Cluster, HsmError, TokenHealth
from sottovoce.hsm.operations import HEALTH, Health
from sottovoce.hsm.trials import NEEDED, TRIALS, TRY, Outcome, Tried, Try

_LOGIN = "login"
_UNTRIED = {"sessions", "idle sessions"}
"""To find these out would take what a proxy that runs needs."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried."""

    what: str
    claim: str
    """What the vendor's row says of it; empty: nothing."""
    claim_was_run: bool
    outcome: Outcome
    value: str
    """What the token turned out to do, where it may be one of several."""
    reason: str
    is_needed: bool
    """Whether the proxy cannot do without it."""

    @property
    def differs(self) -> bool:
        """Whether the token does another thing than the row claims."""
        found = "none" if self.outcome is Outcome.ABSENT and not self.value else self.value
        return bool(self.claim) and self.claim != "not told" and found not in {"", self.claim}

    @property
    def is_well(self) -> bool:
        """Whether the proxy can live with what came of it."""
        return self.outcome is Outcome.WORKS or (self.outcome is Outcome.ABSENT and not self.is_needed)


class TokenTested(msgspec.Struct, frozen=True, kw_only=True):
    """A token, and what came of trying it."""

    name: str
    vendor: str | None
    health: TokenHealth | None
    """What it says of itself; None: it did not open, and `trouble` says why."""
    trials: tuple[Trial, ...] = ()
    untried: tuple[str, ...] = ()
    """What the row claims besides, and nobody has tried here."""
    trouble: str = ""

    @property
    def is_well(self) -> bool:
        """Whether the proxy can use it."""
        return not self.trouble and all(each.is_well for each in self.trials)


async def try_tokens(directory: Path, node: str, *, progress: Callable[[str], None]) -> tuple[TokenTested, ...]:
    """Open each token of a directory, or the one that is named, and try it.  Raises TokensRefused."""
    tokens = tokens_of(directory)
    chosen = [tokens.named(node)] if node else list(tokens.places.values())
    return tuple([await _tested(tokens, each, progress) for each in chosen])


async def _tested(tokens: Tokens, places: TokenPlaces, progress: Callable[[str], None]) -> TokenTested:
    profile = places.config.profile
    vendor = None if profile is None else str(profile.vendor)
    try:
        progress(f"opening token {places.name}")
        async with opened(tokens, [places.name]) as (token, _):
            health = await token.call(HEALTH, Health(), deadline_seconds=DEADLINE_SECONDS)
            found = [(what, await _tried(token, what, progress)) for what in TRIALS]
    except HsmError as error:
        return TokenTested(name=places.name, vendor=vendor, health=None, trouble=str(error))
    claims = {} if profile is None else {each.what: each for each in claims_of(profile)}

    def trial(what: str, tried: Tried, *, claimed_as: str = "") -> Trial:
        claim = claims.get(claimed_as or what)
        return Trial(
            what=what,
            claim="" if claim is None else claim.value,
            claim_was_run=claim is not None and claim.was_run,
            outcome=tried.outcome,
            value=tried.value,
            reason=tried.reason,
            is_needed=what in NEEDED or what == _LOGIN,
        )

    login = trial(_LOGIN, Tried(Outcome.WORKS), claimed_as="PIN")
    return TokenTested(
        name=places.name,
        vendor=vendor,
        health=health,
        trials=(login, *(trial(what, tried) for what, tried in found)),
        untried=tuple(f"{each.what}: {each.value}" for each in claims.values() if each.what in _UNTRIED),
    )


async def _tried(token: Cluster, what: str, progress: Callable[[str], None]) -> Tried:
    progress(f"trying {what}")
    try:
        return await token.call(TRY, Try(what), deadline_seconds=DEADLINE_SECONDS)
    except HsmError as error:
        return Tried(Outcome.FAILS, reason=str(error))
