"""`CertificateKeeper`, over a real token and over one that answers as told."""

import os
import signal
from pathlib import Path
from typing import cast

import msgspec
import pytest
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from trio.testing import MockClock

from sottovoce.app.initialise import ANCHORS
from sottovoce.hsm import Caller, HsmUnavailable, TokenEvent
from sottovoce.identity import (
    AnchorsUnusable,
    CertificateKeeper,
    IssuedVoiceCertificate,
    IssueVoiceCertificate,
    load_anchors,
)
from sottovoce.pki import CertificateRenewed, RenewalEvent, RenewalFailed
from sottovoce.primitives import ApiMisuse, PublicKey, SignatureAlgorithm
from sottovoce.session import Anchor, CertificateFields, decode_certificate_untrusted, encode_certificate
from sottovoce.transport import SystemClock, SystemEntropy
from tests.app.directories import HOSTS, OpenToken, token_pid
from tests.pki.fake_token import FakeToken, FixedEntropy, SteppedClock

WEEK = 7 * 86_400


class SoftwareAnchor:
    """An anchor without a PQ key, its key in memory, that answers as the token process does."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.public = PublicKey(
            SignatureAlgorithm.ECDSA_P384,
            self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        )
        self.anchor = Anchor(HOSTS, self.public)
        self.down_for = 0
        self.early = 0

    async def answer(self, question: msgspec.Struct) -> IssuedVoiceCertificate:
        await trio.sleep(0.05)
        if self.down_for:
            self.down_for -= 1
            raise HsmUnavailable("the token is down: gone")
        asked = cast("IssueVoiceCertificate", question)
        now = int(self.clock.wall()) - self.early
        fields = CertificateFields(
            serial=os.urandom(16),
            not_before=now,
            not_after=now + asked.lifetime_seconds,
            authorities=asked.authorities,
            classical=self.public,
            pq=None,
            anchor_id=self.anchor.anchor_id,
        )
        r, s = decode_dss_signature(self.key.sign(fields.signed_bytes(), ec.ECDSA(hashes.SHA384())))
        classical = (SignatureAlgorithm.ECDSA_P384, r.to_bytes(48) + s.to_bytes(48))
        return IssuedVoiceCertificate(encode_certificate(fields, classical, None))


class Desk:
    """A keeper, and what it reported."""

    def __init__(self, token: Caller, anchors: tuple[Anchor, ...], clock: SteppedClock | SystemClock) -> None:
        self.events: list[RenewalEvent] = []
        entropy = SystemEntropy() if isinstance(clock, SystemClock) else FixedEntropy()
        self.keeper = CertificateKeeper(
            token, lambda: anchors, HOSTS, report=self.events.append, clock=clock, entropy=entropy
        )


def software_desk() -> tuple[SoftwareAnchor, FakeToken, Desk]:
    anchor = SoftwareAnchor(SteppedClock())
    token = FakeToken(anchor.answer)
    return anchor, token, Desk(token, (anchor.anchor,), anchor.clock)


async def test_the_first_certificate_comes_from_the_token(opened: OpenToken, directory: Path) -> None:
    async with opened() as token:
        desk = Desk(token, load_anchors(directory / ANCHORS), SystemClock())
        with pytest.raises(ApiMisuse, match="await first"):
            _ = desk.keeper.certificate
        await desk.keeper.first()
    (event,) = desk.events
    assert isinstance(event, CertificateRenewed)
    fields = decode_certificate_untrusted(desk.keeper.certificate).fields
    assert (event.names, event.serial) == (HOSTS, fields.serial.hex())
    assert event.not_after - event.not_before == WEEK
    assert desk.keeper.not_after == event.not_after


async def test_a_token_process_killed_meanwhile_only_delays_it(
    opened: OpenToken, directory: Path, token_events: list[TokenEvent]
) -> None:
    async with opened() as token:
        desk = Desk(token, load_anchors(directory / ANCHORS), SystemClock())
        os.kill(token_pid(token_events), signal.SIGKILL)
        await desk.keeper.first()
    assert [type(event) for event in desk.events] == [CertificateRenewed]


async def test_a_certificate_is_renewed_at_two_thirds_of_its_life(autojump_clock: MockClock) -> None:
    _, token, desk = software_desk()
    await desk.keeper.first()
    before = desk.keeper.certificate
    with trio.move_on_after(WEEK):
        await desk.keeper.run()
    assert [round(at / 86_400, 1) for at, _ in token.asked] == [0.0, 4.7]
    assert desk.keeper.certificate != before
    assert autojump_clock.current_time() == pytest.approx(WEEK, abs=1)


async def test_while_the_hsm_is_down_the_certificate_in_use_stays(autojump_clock: MockClock) -> None:
    anchor, _, desk = software_desk()
    await desk.keeper.first()
    before, not_after = desk.keeper.certificate, int(desk.keeper.not_after)
    anchor.down_for = 1_000_000
    with trio.move_on_after(WEEK * 0.7):
        await desk.keeper.run()
    assert desk.keeper.certificate == before
    failed = [event for event in desk.events if isinstance(event, RenewalFailed)]
    assert len(failed) > 100
    assert failed[-1] == RenewalFailed("the token is down: gone", 60.0, not_after)
    assert autojump_clock.current_time() == pytest.approx(WEEK * 0.7, abs=1)


async def test_what_clients_would_refuse_is_not_used(autojump_clock: MockClock) -> None:
    anchor, token, desk = software_desk()
    other = SoftwareAnchor(anchor.clock).anchor
    stranger = Desk(token, (other,), anchor.clock)
    with pytest.raises(AnchorsUnusable, match=r"clients would refuse .*not in the anchor file .*must match"):
        await stranger.keeper.first()
    narrow = Desk(token, (msgspec.structs.replace(anchor.anchor, authorities=HOSTS[1:]),), anchor.clock)
    with pytest.raises(AnchorsUnusable, match="does not stand for localhost"):
        await narrow.keeper.first()
    anchor.early = 2 * WEEK
    with pytest.raises(AnchorsUnusable, match="it has expired"):
        await desk.keeper.first()
    nonsense = Desk(FakeToken(_nonsense), (anchor.anchor,), anchor.clock)
    with pytest.raises(AnchorsUnusable):
        await nonsense.keeper.first()
    for each in (stranger, narrow, desk, nonsense):
        assert {type(event) for event in each.events} == {RenewalFailed}
        with pytest.raises(ApiMisuse):
            _ = each.keeper.certificate
    assert autojump_clock.current_time() > 0


async def _nonsense(_: msgspec.Struct) -> IssuedVoiceCertificate:
    await trio.lowlevel.checkpoint()
    return IssuedVoiceCertificate(b"nonsense")


@pytest.mark.parametrize("milliseconds", [0, 10, 49, 51, 60])
async def test_cancelled_at_any_moment_it_has_a_certificate_and_told_so_or_neither(
    milliseconds: int, autojump_clock: MockClock
) -> None:
    _, token, desk = software_desk()
    with trio.move_on_after(milliseconds / 1000):
        await desk.keeper.first()
    assert len(desk.events) == (desk.keeper.not_after > 0)
    assert token.in_flight == 0
    await desk.keeper.first()
    assert desk.keeper.certificate
    assert autojump_clock.current_time() < 1
