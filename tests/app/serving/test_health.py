"""A proxy's health is a matter of causes: what follows from one says nothing more."""

import pytest

from sottovoce.admin import Concern
from sottovoce.app.serving.health import DROP_SECONDS, LOSS_SECONDS, Health
from sottovoce.audit import AuditFailed
from sottovoce.hsm import TokenDown, TokenLocked, TokenUp
from sottovoce.identity import (
    BatchFailed,
    BatchSigned,
    TicketKeyErased,
    TicketKeyFailed,
    TicketKeyReplaced,
)
from sottovoce.pki import CertificateRenewed, RenewalFailed
from sottovoce.session import LeafKind

WALL = 1_800_000_000.0
DAY, WEEK = 86_400, 604_800


class Clock:
    """Two clocks that a test moves together."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return 1_000.0 + self.moved

    def wall(self) -> float:
        return WALL + self.moved


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """Of a proxy that has just started."""
    health = Health(clock)
    health.token(TokenUp(7))
    health.certificate("tls_leaf", renewed(0, DAY))
    health.certificate("voice", renewed(0, WEEK))
    health.ticket_key(TicketKeyReplaced("01"))
    return health


def renewed(begin: float, seconds: int) -> CertificateRenewed:
    return CertificateRenewed("01", ("localhost",), int(WALL + begin), int(WALL + begin) + seconds, "00")


def concerns(health: Health) -> list[Concern]:
    return list(health.concerns())


def the_one(health: Health) -> Concern:
    (concern,) = health.concerns()
    return concern


def test_a_proxy_that_has_just_started_is_well(health: Health) -> None:
    assert concerns(health) == []
    assert (health.readiness().ready, health.readiness().reasons) == (True, ())
    assert (health.hsm.state, health.hsm.replacements, health.hsm.roots_signed) == ("up", 0, 0)
    assert health.certificate_status("tls_leaf").seconds_left == DAY
    assert health.certificate_status("voice").life_seconds == WEEK
    assert health.ticket_key_status.key == "01"
    assert health.is_audit_writable


def test_before_anything_is_there_no_call_should_come(clock: Clock) -> None:
    health = Health(clock)
    assert health.hsm.state == "down"
    assert health.readiness().reasons == ("leaf_over", "voice_certificate_over")


def test_a_lost_token_is_one_concern_whatever_fails_because_of_it(health: Health, clock: Clock) -> None:
    health.token(TokenDown("its process ended", 3))
    clock.moved += 12
    health.token(TokenDown("the PIN file is missing"))
    health.certificate("tls_leaf", RenewalFailed("the token is down", 1.0, 0))
    health.certificate("voice", RenewalFailed("the token is down", 1.0, 0))
    health.ticket_key(TicketKeyFailed("the token is down", 1.0, seals=False))
    health.batch(BatchFailed(LeafKind.SERVER_VERIFY, 4, "the token is down"))
    concern = the_one(health)
    assert (concern.severity, concern.cause) == ("degraded", "hsm")
    assert concern.what == "down since 12 s: the PIN file is missing"
    assert concern.remedy
    assert (health.hsm.state, health.hsm.seconds) == ("down", 12)
    assert health.readiness().ready


def test_when_it_is_back_what_failed_meanwhile_is_no_concern_and_the_loss_a_notice(
    health: Health, clock: Clock
) -> None:
    health.batch(BatchFailed(LeafKind.SERVER_VERIFY, 4, "late"))
    health.certificate("voice", RenewalFailed("late", 1.0, 0))
    health.ticket_key(TicketKeyFailed("late", 1.0, seals=True))
    health.token(TokenDown("its process ended"))
    clock.moved += 1
    health.token(TokenUp(8))
    clock.moved += 2
    concern = the_one(health)
    assert (concern.severity, concern.cause) == ("notice", "hsm")
    assert concern.what == "its process was lost once, last 3 s ago (its process ended), and replaced"
    assert (health.hsm.state, health.hsm.seconds, health.hsm.replacements) == ("up", 2, 1)
    health.token(TokenDown("its process ended"))
    health.token(TokenUp(9))
    assert "lost 2 times, last 0 s ago" in the_one(health).what
    clock.moved += LOSS_SECONDS
    assert concerns(health) == []
    assert health.hsm.replacements == 2


def test_a_locked_token_says_what_to_do(health: Health) -> None:
    health.token(TokenDown("its process ended"))
    health.token(TokenLocked("the PIN does not open it"))
    concern = the_one(health)
    assert concern.what == "locked since 0 s: the PIN does not open it"
    assert "hsm.pin_file" in concern.remedy
    assert health.hsm.state == "locked"


@pytest.mark.parametrize(("share", "is_ready"), [(0.66, True), (0.67, False)])
def test_with_the_token_down_two_thirds_of_a_leafs_life_are_the_limit(
    health: Health, clock: Clock, share: float, *, is_ready: bool
) -> None:
    health.token(TokenDown("its process ended"))
    clock.moved += share * DAY
    assert health.readiness().ready is is_ready
    if not is_ready:
        assert health.readiness().reasons == ("hsm_down_and_leaf_low",)
        assert the_one(health).severity == "unready"
        assert "; the TLS certificate ends in 7 h 55 min" in the_one(health).what
        clock.moved += WEEK
        assert health.readiness().reasons == ("leaf_over", "voice_certificate_over")
        assert "the TLS certificate is over" in the_one(health).what


def test_with_the_token_up_a_low_leaf_does_not_make_it_red(health: Health, clock: Clock) -> None:
    clock.moved += 0.9 * DAY
    assert health.readiness().ready
    assert concerns(health) == []


def test_the_voice_certificate_counts_as_well(health: Health, clock: Clock) -> None:
    clock.moved += 0.7 * WEEK
    health.certificate("tls_leaf", renewed(0.7 * WEEK, DAY))
    health.token(TokenDown("its process ended"))
    assert health.readiness().reasons == ("hsm_down_and_voice_certificate_low",)


def test_a_certificate_that_is_not_renewed_while_the_token_is_up(health: Health, clock: Clock) -> None:
    clock.moved += 0.7 * DAY
    health.certificate("tls_leaf", RenewalFailed("refused", 60.0, 0))
    concern = the_one(health)
    assert (concern.severity, concern.cause) == ("degraded", "leaf")
    assert concern.what == "the TLS certificate ends in 7 h 12 min and is not renewed: refused"
    clock.moved += DAY
    assert the_one(health).severity == "unready"
    assert "ended 16 h 48 min ago" in the_one(health).what
    assert health.readiness().reasons == ("leaf_over",)
    health.certificate("tls_leaf", renewed(clock.moved, DAY))
    assert concerns(health) == []
    assert health.readiness().ready


def test_a_certificate_that_is_over_though_nothing_failed_points_at_the_clock(health: Health, clock: Clock) -> None:
    clock.moved += 2 * DAY
    assert "clock" in the_one(health).remedy


@pytest.mark.parametrize(("seals", "severity"), [(True, "notice"), (False, "degraded")])
def test_a_ticket_key_that_cannot_be_had(health: Health, severity: str, *, seals: bool) -> None:
    health.ticket_key(TicketKeyFailed("busy", 1.0, seals))
    concern = the_one(health)
    assert (concern.severity, concern.cause, concern.what) == (severity, "ticket_key", "no new ticket key: busy")
    health.ticket_key(TicketKeyReplaced("02"))
    assert concerns(health) == []
    health.ticket_key(TicketKeyErased("01", 5, 4))
    assert health.ticket_key_status.key == "02"
    health.ticket_key(TicketKeyErased("02", 5, 4))
    assert not health.ticket_key_status.key


def test_signatures_that_do_not_come_are_a_concern_for_a_minute(health: Health, clock: Clock) -> None:
    health.batch(BatchSigned(LeafKind.SERVER_VERIFY, 4, 4, bytes(32)))
    health.batch(BatchFailed(LeafKind.SERVER_VERIFY, 4, "late"))
    health.batch(BatchFailed(LeafKind.SERVER_VERIFY, 4, "later"))
    concern = the_one(health)
    assert (concern.severity, concern.cause) == ("degraded", "signatures")
    assert concern.what == "2 batches of handshakes got no signature in the last minute: later"
    clock.moved += DROP_SECONDS
    assert concerns(health) == []
    assert health.hsm.roots_signed == 1


def test_an_audit_log_that_cannot_be_written(health: Health, clock: Clock) -> None:
    health.audit(AuditFailed("the disk is full"))
    clock.moved += 3
    concern = the_one(health)
    assert (concern.severity, concern.what) == ("unready", "since 3 s: the disk is full")
    assert health.readiness().reasons == ("audit_log_unwritable",)
    assert not health.is_audit_writable
    health.audit(None)
    assert concerns(health) == []


def test_a_proxy_that_goes_down_takes_no_calls(health: Health) -> None:
    health.is_draining = True
    assert health.readiness().reasons == ("draining",)
    assert the_one(health).cause == "drain"
