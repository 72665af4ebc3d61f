"""`Certificates`, over real tokens and over some that answer as told."""

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

from sottovoce.app.places import ANCHORS, token_files
from sottovoce.app.token_process import COMMAND
from sottovoce.hsm import HsmUnavailable, OperationRefused, Pool, TokenEvent, TokenUp, open_pool
from sottovoce.identity import AnchorsUnusable, Certificates, IssuedVoiceCertificate, load_anchors, load_serving_keys
from sottovoce.pki import CertificateRenewed, RenewalEvent, RenewalFailed
from sottovoce.session import Anchor, ServedCertificate
from sottovoce.settings import load
from sottovoce.transport import SystemClock, SystemEntropy
from tests.app.directories import HOSTS, OpenToken, token_pid
from tests.identity.certificates.software import SoftwareAnchor
from tests.pki.fake_token import FakePool, FixedEntropy, SteppedClock

WEEK = 7 * 86_400
NODES = ("a", "b", "c")


class Desk:
    """A keeper, and what it reported."""

    def __init__(self, pool: Pool, anchors: tuple[Anchor, ...], clock: SteppedClock | SystemClock) -> None:
        self.events: list[RenewalEvent] = []
        self.pool = pool
        entropy = SystemEntropy() if isinstance(clock, SystemClock) else FixedEntropy()
        self.keeper = Certificates(
            pool, lambda: anchors, HOSTS, report=self.events.append, clock=clock, entropy=entropy
        )

    @property
    def current(self) -> dict[str, ServedCertificate]:
        found = {node: self.keeper.under(node, None) for node in self.pool.nodes}
        return {node: certificate for node, certificate in found.items() if certificate is not None}

    @property
    def renewed(self) -> list[CertificateRenewed]:
        return [event for event in self.events if isinstance(event, CertificateRenewed)]

    @property
    def failed(self) -> list[RenewalFailed]:
        return [event for event in self.events if isinstance(event, RenewalFailed)]


class Several:
    """Three nodes with an anchor each, and a keeper over them."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        first = SoftwareAnchor(self.clock, *NODES)
        self.anchors = {node: SoftwareAnchor(self.clock) if node != "a" else first for node in NODES}
        for anchor in self.anchors.values():
            anchor.published = first.published
        self.pool = FakePool({node: anchor.answer for node, anchor in self.anchors.items()})
        self.desk = Desk(self.pool, tuple(anchor.anchor for anchor in self.anchors.values()), self.clock)

    def id_of(self, node: str) -> bytes:
        return self.anchors[node].anchor.anchor_id


def one() -> tuple[SoftwareAnchor, FakePool, Desk]:
    anchor = SoftwareAnchor(SteppedClock(), "main")
    pool = FakePool({"main": anchor.answer})
    return anchor, pool, Desk(pool, (anchor.anchor,), anchor.clock)


async def test_the_first_certificate_comes_from_the_token(opened: OpenToken, directory: Path) -> None:
    async with opened() as token:
        desk = Desk(token, load_anchors(directory / ANCHORS), SystemClock())
        assert desk.current == {}
        await desk.keeper.first()
    (event,) = desk.renewed
    fields = desk.current["main"].decoded.fields
    assert (event.names, event.serial, event.node) == (HOSTS, fields.serial.hex(), "main")
    assert event.not_after - event.not_before == WEEK
    assert desk.keeper.not_after == event.not_after
    assert desk.keeper.serves(fields.anchor_id)


async def test_a_token_process_killed_meanwhile_only_delays_it(
    opened: OpenToken, directory: Path, token_events: list[TokenEvent]
) -> None:
    async with opened() as token:
        desk = Desk(token, load_anchors(directory / ANCHORS), SystemClock())
        os.kill(token_pid(token_events), signal.SIGKILL)
        await desk.keeper.first()
    assert [type(event) for event in desk.events] == [CertificateRenewed]


async def test_one_anchor_of_three_tokens_certifies_the_keys_of_all(three: Path) -> None:
    config = load(three / "sottovoce.toml").hsm
    pids: dict[str, int] = {}

    def report(node: str, event: TokenEvent) -> None:
        if isinstance(event, TokenUp):
            pids[node] = event.pid

    anchors = load_anchors(three / ANCHORS)
    published = load_serving_keys(three / "keys/serving.json")
    assert published is not None
    files = {node: token_files(config, three, node) for node in NODES}
    async with open_pool(config, command=COMMAND, files=files.__getitem__, report=report) as pool:
        desk = Desk(pool, anchors, SystemClock())
        await desk.keeper.first()
        first = desk.current
        for node, certificate in first.items():
            assert certificate.anchor_id == anchors[0].anchor_id
            fields = certificate.decoded.fields
            assert (fields.classical, fields.pq) == (published[node].classical, published[node].pq)
        assert tuple(first) == NODES
    assert [event.node for event in desk.renewed] == list(NODES)


async def test_a_certificate_is_renewed_at_two_thirds_of_its_life(autojump_clock: MockClock) -> None:
    _, pool, desk = one()
    await desk.keeper.first()
    before = desk.current
    with trio.move_on_after(WEEK):
        await desk.keeper.run()
    assert [round(at / 86_400, 1) for at, _ in pool.asked] == [0.0, 4.7]
    assert desk.current != before
    assert autojump_clock.current_time() == pytest.approx(WEEK, abs=1)


async def test_while_the_hsm_is_down_the_certificate_in_use_stays(autojump_clock: MockClock) -> None:
    anchor, _, desk = one()
    await desk.keeper.first()
    before, not_after = desk.current, int(desk.keeper.not_after)
    anchor.down_for = 1_000_000
    with trio.move_on_after(WEEK * 0.7):
        await desk.keeper.run()
    assert desk.current == before
    assert len(desk.failed) > 100
    assert desk.failed[-1] == RenewalFailed("the token is down: gone", 60.0, not_after)
    assert autojump_clock.current_time() == pytest.approx(WEEK * 0.7, abs=1)
    anchor.clock.offset += WEEK
    assert desk.current == {}
    assert not desk.keeper.serves(anchor.anchor.anchor_id)


async def test_the_current_anchor_stays_as_long_as_its_node_can_renew(autojump_clock: MockClock) -> None:
    several = Several()
    await several.desk.keeper.first()
    with trio.move_on_after(WEEK):
        await several.desk.keeper.run()
    assert set(several.pool.asked_nodes) == {"a"}
    assert [event.node for event in several.desk.renewed] == [*NODES, *NODES]
    assert {each.anchor_id for each in several.desk.current.values()} == {several.id_of("a")}
    assert autojump_clock.current_time() == pytest.approx(WEEK, abs=1)


async def test_when_it_cannot_the_next_anchor_takes_its_place_and_the_earlier_certificates_stay(
    autojump_clock: MockClock,
) -> None:
    several, desk = (each := Several()), each.desk
    await desk.keeper.first()
    before = desk.current
    several.pool.down = {"a"}
    with trio.move_on_after(WEEK * 0.7):
        await desk.keeper.run()
    assert desk.failed == []
    assert {certificate.anchor_id for certificate in desk.current.values()} == {several.id_of("b")}
    assert {node: desk.keeper.under(node, several.id_of("a")) for node in NODES} == before
    assert desk.keeper.serves(several.id_of("a"))
    assert not desk.keeper.serves(several.id_of("c"))
    several.pool.down = set()
    desk.keeper.renew_now()
    with trio.move_on_after(WEEK * 0.5):
        await desk.keeper.run()
    assert desk.keeper.under("a", None) is not None
    assert {certificate.anchor_id for certificate in desk.current.values()} == {several.id_of("b")}, "it has no reason"
    assert not desk.keeper.serves(several.id_of("a")), "it has ended"
    assert autojump_clock.current_time() == pytest.approx(WEEK * 1.2, abs=1)


async def test_an_anchor_whose_token_goes_in_the_middle_certifies_none(autojump_clock: MockClock) -> None:
    several = Several()
    answer, asked = several.anchors["a"].answer, 0

    async def twice_then_never(question: msgspec.Struct) -> IssuedVoiceCertificate:
        nonlocal asked
        asked += 1
        if asked == 3:
            await trio.sleep_forever()
        return await answer(question)

    several.pool.answering["a"] = twice_then_never
    await several.desk.keeper.first()
    assert {each.anchor_id for each in several.desk.current.values()} == {several.id_of("b")}
    assert not several.desk.keeper.serves(several.id_of("a"))
    assert [event.node for event in several.desk.renewed] == list(NODES)
    assert autojump_clock.current_time() < 5


async def test_the_whole_order_is_tried_and_the_first_reason_told(autojump_clock: MockClock) -> None:
    several = Several()
    for node, anchor in several.anchors.items():
        several.pool.answering[node] = _refusing(f"{node} is broken")
        anchor.down_for = 99
    with pytest.raises(OperationRefused, match="a is broken"):
        await several.desk.keeper.first()
    assert [event.reason for event in several.desk.failed] == ["a is broken", "a is broken"]
    assert several.pool.asked_nodes[:9] == ["a", "a", "a", "b", "b", "b", "c", "c", "c"]
    assert autojump_clock.current_time() > 0


async def test_a_node_whose_keys_are_not_published_is_left_out_and_told(autojump_clock: MockClock) -> None:
    several, desk = (each := Several()), each.desk
    keys = several.anchors["a"].published.pop("b")
    await desk.keeper.first()
    assert tuple(desk.current) == ("a", "c")
    assert desk.failed == [RenewalFailed("no serving keys of node b", 0.0, 0, "b")]
    assert desk.events[-1] == desk.failed[0], "the last word"
    several.anchors["a"].published["b"] = keys
    desk.keeper.renew_now()
    with trio.move_on_after(WEEK * 0.7):
        await desk.keeper.run()
    assert tuple(desk.current) == NODES
    end = desk.current["b"].decoded.fields.not_after
    del several.anchors["a"].published["b"]
    with trio.move_on_after(WEEK * 0.69):
        await desk.keeper.run()
    assert tuple(desk.current) == NODES, "what it has goes on"
    assert desk.failed[1:] == [RenewalFailed("no serving keys of node b", 0.0, end, "b")]
    assert autojump_clock.current_time() > 0


async def test_an_anchor_that_is_replaced_in_the_middle_is_not_mixed(autojump_clock: MockClock) -> None:
    several = Several()
    other = several.anchors["b"].answer
    answer, asked = several.anchors["a"].answer, 0

    async def changing(question: msgspec.Struct) -> IssuedVoiceCertificate:
        nonlocal asked
        asked += 1
        return await (other if asked == 3 else answer)(question)

    pool = FakePool({"a": changing, "b": _refusing("b is broken"), "c": _refusing("c is broken")})
    desk = Desk(pool, tuple(anchor.anchor for anchor in several.anchors.values()), several.clock)
    await desk.keeper.first()
    assert "was replaced while certificates were issued" in desk.failed[0].reason
    assert {each.anchor_id for each in desk.current.values()} == {several.id_of("a")}
    assert autojump_clock.current_time() < 5


def _refusing(reason: str) -> Callable[[msgspec.Struct], Awaitable[msgspec.Struct]]:
    async def answer(_: msgspec.Struct) -> msgspec.Struct:
        await trio.lowlevel.checkpoint()
        raise OperationRefused(reason)

    return answer


async def test_what_clients_would_refuse_is_not_used(autojump_clock: MockClock) -> None:
    anchor, pool, desk = one()
    other = SoftwareAnchor(anchor.clock).anchor
    stranger = Desk(pool, (other,), anchor.clock)
    with pytest.raises(AnchorsUnusable, match=r"clients would refuse .*not in the anchor file .*must match"):
        await stranger.keeper.first()
    narrow = Desk(pool, (msgspec.structs.replace(anchor.anchor, authorities=HOSTS[1:]),), anchor.clock)
    with pytest.raises(AnchorsUnusable, match="does not stand for localhost"):
        await narrow.keeper.first()
    anchor.early = 2 * WEEK
    with pytest.raises(AnchorsUnusable, match="it has expired"):
        await desk.keeper.first()
    nonsense = Desk(FakePool({"main": _nonsense}), (anchor.anchor,), anchor.clock)
    with pytest.raises(AnchorsUnusable, match="clients would refuse"):
        await nonsense.keeper.first()
    for each in (stranger, narrow, desk, nonsense):
        assert {type(event) for event in each.events} == {RenewalFailed}
        assert each.current == {}
    assert autojump_clock.current_time() > 0


async def _nonsense(_: msgspec.Struct) -> IssuedVoiceCertificate:
    await trio.lowlevel.checkpoint()
    return IssuedVoiceCertificate(b"nonsense")


async def test_one_whose_anchor_clients_do_not_know_gives_way_to_the_next(autojump_clock: MockClock) -> None:
    several = Several()
    known = (several.anchors["b"].anchor, several.anchors["c"].anchor)
    desk = Desk(several.pool, known, several.clock)
    await desk.keeper.first()
    assert {each.anchor_id for each in desk.current.values()} == {several.id_of("b")}
    assert autojump_clock.current_time() < 1


async def test_down_at_the_start_it_fails_after_a_few_tries(autojump_clock: MockClock) -> None:
    several = Several()
    several.pool.down = set(NODES)
    with pytest.raises(HsmUnavailable, match="no answer to issue_voice_certificate"):
        await several.desk.keeper.first()
    assert several.desk.current == {}
    assert 10 < autojump_clock.current_time() < 60


@pytest.mark.parametrize("milliseconds", [0, 10, 49, 51, 99, 101, 149, 151, 160])
async def test_cancelled_at_any_moment_it_has_certificates_and_told_so_or_neither(
    milliseconds: int, autojump_clock: MockClock
) -> None:
    several, desk = (each := Several()), each.desk
    with trio.move_on_after(milliseconds / 1000):
        await desk.keeper.first()
    assert len(desk.events) == len(desk.current) == (3 if desk.keeper.not_after else 0)
    assert several.pool.in_flight == 0
    await desk.keeper.first()
    assert tuple(desk.current) == NODES
    assert autojump_clock.current_time() < 1
