"""What is left when a proxy has ended: who signed, who was asked, what clients saw, and how long it all took.

**Roots.**  Each batch of handshakes has a root for each token that is asked to sign it, and is over with the first
answer.  So of what token processes have signed (each line is a count of their own counter, kept where a kill does not
reach it) there are as many roots as clients verified, and beside these the second answers: roots of the same batches,
which another token signed, too, because the first was slow, hung or gone.  Both are told apart by name, so the sums are
exact, however many processes were killed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sottovoce.audit import read_events
from sottovoce.identity.serving import load_serving_keys
from tests.shows.tokens.faults import Fault
from tests.shows.tokens.records import Asked, Delivered, Made, Records, Signed, Verified


class Roots(msgspec.Struct, frozen=True):
    """ServerVerify roots."""

    counted: int
    """By the counters of all token processes, the killed ones included."""
    second: int
    """Of these, those that nobody needed: of a batch that another token, or another process of it, had signed."""
    seen: int
    """Different ones that clients verified."""


class Failover(msgspec.Struct, frozen=True):
    """What became of the batches that a token had when it was harmed, or got before that was known.

    Seconds count from the harm, or from when the batch was sent to that token if that was later.
    """

    batches: int = 0
    asked_seconds: float = 0.0
    """The longest until another token was asked, less what the proxy waited for a processor."""
    signed_seconds: float = 0.0
    """The longest until its calls had their signature, all included."""


class Account:
    """Made from the records and the audit log of a proxy that has ended."""

    def __init__(self, records: Records, directory: Path) -> None:
        self.calls = records.of(Made)
        self.verified = records.of(Verified)
        self._signed = records.of(Signed)
        self._asked = records.of(Asked)
        self._delivered = {each.batch: each for each in records.of(Delivered)}
        self._audited = [
            record.fields
            for record in read_events(directory / "audit/audit.log", "root_signed")
            if record.fields["kind"] == "server_verify"
        ]
        keys = load_serving_keys(directory / "keys/serving.json")
        assert keys is not None
        self._nodes = {each.classical.key.hex(): node for node, each in keys.items()}

    @property
    def failures(self) -> Counter[str]:
        return Counter(call.failure for call in self.calls if call.failure)

    def roots(self) -> Roots:
        """Count them; fails where clients saw a root that no token process has signed as that token."""
        seen = {(each.root, self._nodes[each.key]) for each in self.verified}
        signed = {(each.root, each.node) for each in self._signed}
        assert seen <= signed, "a client verified a signature that no token process has counted"
        assert seen == {(each.root, each.node) for each in self._delivered.values()}
        assert sorted(seen) == sorted((str(each["root"]), str(each["node"])) for each in self._audited)
        batch_of = {each.root: each.batch for each in self._asked}
        answers = Counter(batch_of[each.root] for each in self._signed)
        assert answers.keys() == self._delivered.keys(), "a root was signed for nobody"
        second = sum(count - 1 for count in answers.values())
        assert sum(int(str(each["leaves"])) for each in self._audited) == len(self.verified)
        return Roots(len(self._signed), second, len(seen))

    def failover(self, fault: Fault) -> Failover:
        """Say what became of the batches that a fault met."""
        asked: dict[int, list[Asked]] = defaultdict(list)
        for each in self._asked:
            asked[each.batch].append(each)
        met = [found for batch, sent in asked.items() if (found := self._met(fault, batch, sent))]
        return Failover(
            len(met), max((each[0] for each in met), default=0.0), max((each[1] for each in met), default=0.0)
        )

    def _met(self, fault: Fault, batch: int, sent: Iterable[Asked]) -> tuple[float, float] | None:
        """Give a batch's seconds until another was asked and until it was signed; None for one that was not met."""
        delivered = self._delivered[batch]
        at_node = [each for each in sent if each.node == fault.node and each.at < fault.back_at]
        if not at_node or delivered.at < fault.at or delivered.node == fault.node:
            return None
        since = max(fault.at, at_node[-1].at)
        others = [each for each in sent if each.node != fault.node and each.at >= since]
        if not others:  # it was out at another token, too, already
            return 0.0, max(0.0, delivered.at - since)
        base = fault.queued_seconds if since == fault.at else at_node[-1].queued_seconds
        waited = others[0].queued_seconds - base
        return max(0.0, others[0].at - since - waited), delivered.at - since

    def slowest_call(self, faults: Iterable[Fault]) -> float:
        """Give the longest that a call took of those that were under way during these faults, in seconds."""
        spans = [(fault.at, fault.back_at) for fault in faults]
        return max(
            (
                call.ended_at - call.began_at
                for call in self.calls
                if any(call.began_at < end and call.ended_at > begin for begin, end in spans)
            ),
            default=0.0,
        )
