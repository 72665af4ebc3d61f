"""`LeafKeeper`, over a real token and over one that answers as told."""

from pathlib import Path
from typing import cast

import msgspec
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from trio.testing import MockClock

from sottovoce.hsm import ONLY_NODE, HsmUnavailable, Pool, TokenLost
from sottovoce.pki import (
    CertificateRenewed,
    IssueLeaf,
    Leaf,
    LeafKeeper,
    LeafRefused,
    LeafWrong,
    RenewalEvent,
    RenewalFailed,
    read_issuing_certificate,
)
from sottovoce.pki.profile import sign_issuing_certificate, sign_leaf, sign_root_certificate
from sottovoce.transport import SystemClock, SystemEntropy, TlsIdentity
from tests.app.directories import OpenToken
from tests.pki.fake_token import FakePool, FakeToken, FixedEntropy, SteppedClock

NAMES = ("localhost", "127.0.0.1")
WALL = 1_800_000_000.0
P384 = ec.SECP384R1()


class SoftwareCa:
    """A CA with its keys in memory, that answers as the token process does."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.key = ec.generate_private_key(P384)
        root_key = ec.generate_private_key(P384)
        root = sign_root_certificate(root_key, WALL)
        self.issuing = sign_issuing_certificate(root, root_key, self.key.public_key(), WALL)
        self.down_for = 0
        self.wrong_key = False

    async def answer(self, question: msgspec.Struct) -> Leaf:
        await trio.sleep(0.05)
        if self.down_for:
            self.down_for -= 1
            raise HsmUnavailable("the token is down: gone")
        asked = cast("IssueLeaf", question)
        public = cast("ec.EllipticCurvePublicKey", load_der_public_key(asked.public_key))
        if self.wrong_key:
            public = ec.generate_private_key(ec.SECP256R1()).public_key()
        leaf = sign_leaf(self.issuing, self.key, public, asked.names, self.clock.wall())
        return Leaf(leaf.public_bytes(Encoding.DER))


class Desk:
    """A keeper, what it installed and what it reported."""

    def __init__(self, pool: Pool, clock: SteppedClock | SystemClock, **issuing: x509.Certificate) -> None:
        self.installed: list[TlsIdentity] = []
        self.events: list[RenewalEvent] = []
        entropy = SystemEntropy() if isinstance(clock, SystemClock) else FixedEntropy()
        self.keeper = LeafKeeper(
            pool,
            issuing,
            NAMES,
            install=self.installed.append,
            report=self.events.append,
            clock=clock,
            entropy=entropy,
        )


def software_desk() -> tuple[SoftwareCa, FakeToken, Desk]:
    ca = SoftwareCa(SteppedClock(WALL))
    token = FakeToken(ca.answer)
    return ca, token, Desk(token, ca.clock, main=ca.issuing)


async def test_the_first_leaf_comes_from_the_token(opened: OpenToken, directory: Path) -> None:
    issuing = read_issuing_certificate(directory / "certs/issuing.pem")
    async with opened() as token:
        desk = Desk(token, SystemClock(), main=issuing)
        assert desk.keeper.not_after == 0
        await desk.keeper.first()
    (identity,) = desk.installed
    assert identity.chain == (issuing,)
    (event,) = desk.events
    assert isinstance(event, CertificateRenewed)
    assert (event.names, event.node) == (NAMES, ONLY_NODE)
    assert event.serial == f"{identity.certificate.serial_number:x}"
    assert event.not_after - event.not_before == 86_400
    assert desk.keeper.not_after == event.not_after


async def test_a_leaf_is_renewed_at_two_thirds_of_its_life_with_a_key_of_its_own(autojump_clock: MockClock) -> None:
    _, token, desk = software_desk()
    await desk.keeper.first()
    with trio.move_on_after(86_400):
        await desk.keeper.run()
    assert [round(at / 3600, 1) for at, _ in token.asked] == [0.0, 15.9]
    first, second = desk.installed
    assert first.certificate.public_key() != second.certificate.public_key()
    assert autojump_clock.current_time() == pytest.approx(86_400, abs=1)


async def test_whichever_node_issues_its_own_ca_is_shown_with_the_leaf(autojump_clock: MockClock) -> None:
    clock = SteppedClock(WALL)
    first, second = SoftwareCa(clock), SoftwareCa(clock)
    pool = FakePool({"a": first.answer, "b": second.answer})
    desk = Desk(pool, clock, a=first.issuing, b=second.issuing)
    await desk.keeper.first()
    pool.answering["a"] = _lost
    with trio.move_on_after(86_400):
        await desk.keeper.run()
    assert [identity.chain for identity in desk.installed] == [(first.issuing,), (second.issuing,)]
    for identity in desk.installed:
        identity.certificate.verify_directly_issued_by(identity.chain[0])
    assert [event.node for event in desk.events if isinstance(event, CertificateRenewed)] == ["a", "b"]
    assert autojump_clock.current_time() == pytest.approx(86_400, abs=1)


async def test_a_node_whose_issuing_certificate_is_not_known_is_not_asked(autojump_clock: MockClock) -> None:
    ca = SoftwareCa(SteppedClock(WALL))
    pool = FakePool({"a": ca.answer, "b": ca.answer})
    await Desk(pool, ca.clock, b=ca.issuing).keeper.first()
    assert pool.asked_nodes == ["b"]
    assert autojump_clock.current_time() < 1


async def _lost(_: msgspec.Struct) -> Leaf:
    await trio.lowlevel.checkpoint()
    raise TokenLost("gone")


async def test_while_the_hsm_is_down_the_leaf_in_use_stays(autojump_clock: MockClock) -> None:
    ca, _, desk = software_desk()
    await desk.keeper.first()
    ca.down_for = 4
    with trio.move_on_after(60_000):
        await desk.keeper.run()
    assert [type(event) for event in desk.events] == [CertificateRenewed, *[RenewalFailed] * 4, CertificateRenewed]
    failed = [event for event in desk.events if isinstance(event, RenewalFailed)]
    assert [event.retry_seconds for event in failed] == [1.0, 2.0, 5.0, 10.0]
    assert {event.not_after for event in failed} == {int(WALL - 300 + 86_400)}
    assert failed[0].reason == "the token is down: gone"
    assert len(desk.installed) == 2
    assert autojump_clock.current_time() > 0


async def test_a_start_without_an_hsm_fails_after_a_few_tries(autojump_clock: MockClock) -> None:
    ca, token, desk = software_desk()
    ca.down_for = 99
    with pytest.raises(HsmUnavailable, match="the token is down"):
        await desk.keeper.first()
    assert (len(token.asked), desk.installed) == (3, [])
    assert autojump_clock.current_time() < 10


async def test_another_key_or_another_ca_is_not_used(autojump_clock: MockClock) -> None:
    ca, token, desk = software_desk()
    ca.wrong_key = True
    with pytest.raises(LeafWrong, match="node main issued a TLS certificate of another CA or key: check the file that"):
        await desk.keeper.first()
    ca.wrong_key = False
    elsewhere = Desk(token, ca.clock, main=SoftwareCa(ca.clock).issuing)
    with pytest.raises(LeafWrong):
        await elsewhere.keeper.first()
    nonsense = Desk(FakeToken(lambda _: _nonsense()), ca.clock, main=ca.issuing)
    with pytest.raises(LeafWrong):
        await nonsense.keeper.first()
    assert (desk.installed, elsewhere.installed, nonsense.installed) == ([], [], [])
    assert autojump_clock.current_time() > 0


async def _nonsense() -> Leaf:
    await trio.lowlevel.checkpoint()
    return Leaf(b"nonsense")


def test_names_that_no_certificate_may_carry_are_refused_before_anything_starts() -> None:
    ca = SoftwareCa(SteppedClockAtRest())
    with pytest.raises(LeafRefused):
        LeafKeeper(
            FakeToken(ca.answer),
            {ONLY_NODE: ca.issuing},
            ("no host",),
            install=[].append,
            report=[].append,
            clock=ca.clock,
            entropy=FixedEntropy(),
        )


class SteppedClockAtRest(SteppedClock):
    """For tests without Trio."""

    def __init__(self) -> None:
        self.offset = WALL


@pytest.mark.parametrize("milliseconds", [0, 10, 49, 51, 60])
async def test_cancelled_at_any_moment_it_has_installed_and_told_both_or_neither(
    milliseconds: int, autojump_clock: MockClock
) -> None:
    _, token, desk = software_desk()
    with trio.move_on_after(milliseconds / 1000):
        await desk.keeper.first()
    assert len(desk.installed) == len(desk.events)
    assert token.in_flight == 0
    await desk.keeper.first()
    assert desk.keeper.not_after == WALL - 300 + 86_400
    assert autojump_clock.current_time() < 1
