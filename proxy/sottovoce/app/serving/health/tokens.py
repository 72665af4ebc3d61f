"""How the tokens do: which are up, since when, and what an operator should know of those that are not.

With one token its going is a concern of the whole.  Of several, each that is not up is a concern by itself as long as
enough are for a new key; below that it is one concern, and when none is up, new calls should go elsewhere.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from sottovoce.admin import Concern, HsmStatus, Severity, TokenStatus, duration
from sottovoce.hsm import PoolStatus, TokenDown, TokenEvent, TokenLocked, TokenSealed, TokenUp
from sottovoce.transport import Clock

LOSS_SECONDS = 300.0
"""So long a token process that was lost and replaced is worth a notice."""
_MAX_NOTED = 100
_COMES_BACK = "it is started again by itself; if it stays down, mend what is named"
_TAKE_BACK = "sottovoce hsm failover --back takes it into use again"

_Word = Literal["up", "down", "sealed", "locked"]


class _Token:
    """One token."""

    def __init__(self, now: float) -> None:
        self.event: TokenEvent = TokenDown("it has not started yet")
        self.since = now
        self.losses: deque[tuple[float, str]] = deque(maxlen=_MAX_NOTED)
        self.replacements = 0

    def note(self, event: TokenEvent, now: float) -> None:
        was_up = self.is_up
        if isinstance(event, TokenUp) or was_up:
            self.since = now
        if was_up and isinstance(event, TokenDown | TokenLocked):
            self.losses.append((now, event.reason))
        elif isinstance(event, TokenUp) and not isinstance(self.event, TokenSealed):
            self.replacements += bool(self.losses)
        self.event = event

    @property
    def is_up(self) -> bool:
        return isinstance(self.event, TokenUp)

    @property
    def is_held(self) -> bool:
        """Whether an operator has taken it out of use."""
        return isinstance(self.event, TokenDown) and self.event.is_held

    @property
    def word(self) -> _Word:
        match self.event:
            case TokenUp():
                return "up"
            case TokenDown():
                return "down"
            case TokenLocked():
                return "locked"
            case TokenSealed():
                return "sealed"

    @property
    def reason(self) -> str:
        return "" if isinstance(self.event, TokenUp) else self.event.reason

    def trouble(self, now: float) -> str:
        """Say how it does, of one that is not up."""
        return f"{self.word} since {duration(now - self.since)}: {self.reason}"


class Tokens:
    """Hears what becomes of each token's process."""

    def __init__(self, clock: Clock, sections: Mapping[str, str], quorum: int) -> None:
        """Take each token's section of the configuration, by its name, and how many have to be up for a new key."""
        self._clock = clock
        self._sections = sections
        self._quorum = quorum
        self._tokens = {name: _Token(clock.now()) for name in sections}
        self._since = clock.now()
        """When the first came up, or the last went."""

    def note(self, node: str, event: TokenEvent) -> bool:
        """Take what became of a token's process; gives whether there is one again, where there was none."""
        was_up, now = self.is_up, self._clock.now()
        self._tokens[node].note(event, now)
        if self.is_up is not was_up or len(self._tokens) == 1:
            self._since = self._tokens[node].since
        return self.is_up and not was_up

    def unsealed(self) -> None:
        """Take that they are started again."""
        for token in self._tokens.values():
            if isinstance(token.event, TokenSealed):
                token.note(TokenSealed("it was unsealed, and is being started"), self._clock.now())

    @property
    def is_up(self) -> bool:
        """Whether any answers."""
        return self._up > 0

    @property
    def are_several(self) -> bool:
        """Whether one may go without anybody's noticing."""
        return len(self._tokens) > 1

    def status(self, roots_signed: int) -> HsmStatus:
        """Say how they do."""
        now = self._clock.now()
        return HsmStatus(
            self._word,
            round(now - self._since, 3),
            sum(token.replacements for token in self._tokens.values()),
            roots_signed,
            "" if self.is_up else self._troubles(now, bare=True),
            quorum=self._quorum,
            tokens=tuple(
                TokenStatus(name, token.word, round(now - token.since, 3), token.replacements, token.reason)
                for name, token in self._tokens.items()
            ),
        )

    def concerns(self, ends: Sequence[str]) -> Iterator[Concern]:
        """Say what is wrong with them; `ends` are certificates that none is there to renew."""
        now = self._clock.now()
        if not self.is_up:
            severity: Severity = "unready" if ends or self.are_several else "degraded"
            what = "; ".join((self._troubles(now), *ends))
            yield Concern(severity, "hsm", what, self._remedy())
            return
        if self._up < self._quorum:
            what = f"{self._up} of {len(self._tokens)} tokens {_are(self._up)} up, too few for a new key, which needs "
            yield Concern("degraded", "hsm", f"{what}{self._quorum}: {self._troubles(now)}", self._remedy())
        else:
            for name, token in self._tokens.items():
                if not token.is_up:
                    yield Concern("degraded", f"hsm.{name}", token.trouble(now), self._remedy(name))
        for name, token in self._tokens.items():
            yield from self._losses(name, token, now)

    @property
    def _up(self) -> int:
        return sum(token.is_up for token in self._tokens.values())

    @property
    def _word(self) -> _Word:
        words = {token.word for token in self._tokens.values()}
        return next(word for word in ("up", "down", "sealed", "locked") if word in words)

    def _troubles(self, now: float, *, bare: bool = False) -> str:
        """Say how each does that is not up; of one alone, its reason where that is enough."""
        if not self.are_several:
            (token,) = self._tokens.values()
            return token.reason if bare else token.trouble(now)
        return "; ".join(f"{name} {token.trouble(now)}" for name, token in self._tokens.items() if not token.is_up)

    def _remedy(self, only: str = "") -> str:
        locked = [
            f"{self._sections[name]}.pin_file"
            for name, token in self._tokens.items()
            if isinstance(token.event, TokenLocked) and name == (only or name)
        ]
        if locked:
            return f"put the right PIN into {' and '.join(locked)}, then start the proxy anew"
        away = [token for name, token in self._tokens.items() if not token.is_up and name == (only or name)]
        comes_back = _TAKE_BACK if all(token.is_held for token in away) else _COMES_BACK
        return f"calls go on with the others; {comes_back}" if self.is_up else comes_back

    def _losses(self, name: str, token: _Token, now: float) -> Iterator[Concern]:
        recent = [(at, reason) for at, reason in token.losses if at > now - LOSS_SECONDS]
        if recent and token.is_up:
            at, reason = recent[-1]
            times = "once" if len(recent) == 1 else f"{len(recent)} times"
            what = f"its process was lost {times}, last {duration(now - at)} ago ({reason}), and replaced"
            cause = f"hsm.{name}" if self.are_several else "hsm"
            yield Concern("notice", cause, what, "nothing to do; if it goes on, see token.lost in the log")


def with_load(status: HsmStatus, pool: PoolStatus) -> HsmStatus:
    """Add what the tokens have to do just now."""
    nodes = {node.name: node for node in pool.nodes}

    def loaded(token: TokenStatus) -> TokenStatus:
        node = nodes[token.name]
        return msgspec.structs.replace(
            token, in_flight=node.in_flight, is_suspect=node.suspects > 0, suspicions=node.suspicions
        )

    return msgspec.structs.replace(
        status,
        tokens=tuple(map(loaded, status.tokens)),
        waiting=pool.waiting,
        hedges_won=pool.hedges_won,
        hedges_lost=pool.hedges_lost,
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
