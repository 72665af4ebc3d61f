"""What a scenario's file may hold.  Pure.

Instants are seconds of the time that counts: 0 is when the calls that are there from the beginning have talked for the
warm-up.  What keys mean together is said in `rules`; everything becomes a `Group` of the plan.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from loadtest.replay.book import Phase
from loadtest.replay.plan import WARM_UP_SECONDS, Group, Outage
from loadtest.scenario.rules import JOINING_PER_SECOND, faults_of, faults_of_group, faults_of_outage
from sottovoce.wire import Codec

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{1,64}$(?!\n)")]
"""Of a group, a phase or an outage: it stands in tables and pictures."""
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
_CODECS = {
    "pcm16-8k": Codec.PCM16_8K,
    "pcm16-16k": Codec.PCM16_16K,
    "pcm16-24k": Codec.PCM16_24K,
    "pcm16-48k": Codec.PCM16_48K,
    "pcmu": Codec.PCMU_8K,
    "pcma": Codec.PCMA_8K,
    "opus": Codec.OPUS_48K_MONO,
    "opus-stereo": Codec.OPUS_48K_STEREO,
}


class GroupSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[groups.NAME]`: calls that do the same."""

    calls: Annotated[int, Meta(ge=1, le=20_000)]
    """At a time; of a group that joins, in all."""
    at_seconds: Seconds = 0.0
    """When the first of them is begun; 0: all are there before the first frame."""
    per_second: Annotated[float, Meta(ge=0.1, le=1000)] = JOINING_PER_SECOND
    """How many are begun in a second."""
    lasts_seconds: Seconds = 0.0
    """How long a call lasts; 0: to the end."""
    again: bool = False
    """Another call takes the place of one that has ended, whoever ended it."""
    codec: Literal["pcm16-8k", "pcm16-16k", "pcm16-24k", "pcm16-48k", "pcmu", "pcma", "opus", "opus-stereo"] = (
        "pcm16-16k"
    )
    frame_ms: Annotated[int, Meta(ge=10, le=60)] = 20
    """10, 20, 40 or 60."""
    talks_seconds: Seconds = 0.0
    """Of a turn; its first frame is marked as the beginning of speech, its last as the end of a turn.  0: no turns."""
    pauses_seconds: Seconds = 0.0
    """Of silence behind each turn."""
    reads_seconds: Seconds = 0.0
    """How long what comes is read before each stall."""
    stalls_seconds: Seconds = 0.0
    """How long nothing is read then, as on a bad network; 0: it is always read."""

    def __post_init__(self) -> None:
        """Check what belongs together."""
        _refuse(faults_of_group(msgspec.structs.asdict(self)))

    def as_group(self, name: str) -> Group:
        """Give it as a plan has it."""
        return Group(
            name=name,
            calls=self.calls,
            at_seconds=self.at_seconds,
            per_second=self.per_second,
            lasts_seconds=self.lasts_seconds,
            again=self.again,
            frames_per_second=1000 / self.frame_ms,
            codec=_CODECS[self.codec],
            talks_seconds=self.talks_seconds,
            pauses_seconds=self.pauses_seconds,
            stalls_seconds=self.stalls_seconds,
            reads_seconds=self.reads_seconds,
        )


GROUP_KEYS = frozenset(GroupSection.__struct_fields__)


class OutageSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[outages.NAME]`: a time in which the backend takes no call and has dropped those that it had."""

    at_seconds: Seconds
    until_seconds: Seconds

    def __post_init__(self) -> None:
        """Check that it ends after it begins."""
        _refuse(faults_of_outage(msgspec.structs.asdict(self)))


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole file."""

    about: Annotated[str, Meta(min_length=1, max_length=120)]
    """One line, for the list of scenarios."""
    seconds: Annotated[float, Meta(ge=1, le=86_400)]
    """That count."""
    warm_up_seconds: Annotated[float, Meta(ge=0, le=60)] = WARM_UP_SECONDS
    tick_us: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """Gather arrivals to ticks of so many microseconds; 0: each frame at its own instant."""
    groups: dict[Name, GroupSection]
    phases: dict[Name, Seconds] = {}
    """From when on each is; the first is from 0 on.  Figures are given for each."""
    outages: dict[Name, OutageSection] = {}
    """They need a backend of ours: --config with --raw."""

    def __post_init__(self) -> None:
        """Check what one section means for another."""
        _refuse(faults_of(cast("dict[str, object]", msgspec.to_builtins(self)), GROUP_KEYS))

    @property
    def calls(self) -> int:
        """Of all groups."""
        return sum(each.calls for each in self.groups.values())

    @property
    def takes_turns(self) -> bool:
        """Whether the backend should hear where turns begin."""
        return any(each.talks_seconds for each in self.groups.values())

    def plan_groups(self) -> tuple[Group, ...]:
        """Give the groups as a plan has them."""
        return tuple(section.as_group(name) for name, section in self.groups.items())

    def plan_phases(self) -> tuple[Phase, ...]:
        """Give the phases as a plan has them."""
        return tuple(Phase(name, int(at)) for name, at in self.phases.items())

    def plan_outages(self) -> tuple[Outage, ...]:
        """Give the outages as a plan has them."""
        return tuple(
            Outage(at_seconds=each.at_seconds, until_seconds=each.until_seconds) for each in self.outages.values()
        )


def _refuse(faults: Iterable[str]) -> None:
    for fault in faults:
        raise ValueError(fault)
