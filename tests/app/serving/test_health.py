"""A proxy's health is a matter of causes: what follows from one says nothing more."""

import msgspec
import pytest

from sottovoce.admin import Concern
from sottovoce.app.serving.health import DROP_SECONDS, LOSS_SECONDS, Health, Tokens
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
    health = Health(clock, Tokens(clock, {"main": "hsm"}, 1))
    health.token("main", TokenUp(7))
    told_at_the_start(health)
    return health


@pytest.fixture
def three(clock: Clock) -> Health:
    """Likewise, with three tokens."""
    health = Health(clock, Tokens(clock, {name: f"hsm.nodes.{name}" for name in "abc"}, 2))
    for number, name in enumerate("abc"):
        health.token(name, TokenUp(number))
    told_at_the_start(health)
    return health


def told_at_the_start(health: Health) -> None:
    health.certificate("tls_leaf", renewed(0, DAY))
    health.certificate("voice", renewed(0, WEEK))
    health.ticket_key(TicketKeyReplaced("01", "main"))


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
    health = Health(clock, Tokens(clock, {"main": "hsm"}, 1))
    assert health.hsm.state == "down"
    assert health.readiness().reasons == ("leaf_over", "voice_certificate_over")


def test_a_lost_token_is_one_concern_whatever_fails_because_of_it(health: Health, clock: Clock) -> None:
    health.token("main", TokenDown("its process ended", 3))
    clock.moved += 12
    health.token("main", TokenDown("the PIN file is missing"))
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
    health.token("main", TokenDown("its process ended"))
    clock.moved += 1
    health.token("main", TokenUp(8))
    clock.moved += 2
    concern = the_one(health)
    assert (concern.severity, concern.cause) == ("notice", "hsm")
    assert concern.what == "its process was lost once, last 3 s ago (its process ended), and replaced"
    assert (health.hsm.state, health.hsm.seconds, health.hsm.replacements) == ("up", 2, 1)
    health.token("main", TokenDown("its process ended"))
    health.token("main", TokenUp(9))
    assert "lost 2 times, last 0 s ago" in the_one(health).what
    clock.moved += LOSS_SECONDS
    assert concerns(health) == []
    assert health.hsm.replacements == 2


def test_a_locked_token_says_what_to_do(health: Health) -> None:
    health.token("main", TokenDown("its process ended"))
    health.token("main", TokenLocked("the PIN does not open it"))
    concern = the_one(health)
    assert concern.what == "locked since 0 s: the PIN does not open it"
    assert "hsm.pin_file" in concern.remedy
    assert health.hsm.state == "locked"


@pytest.mark.parametrize(("share", "is_ready"), [(0.66, True), (0.67, False)])
def test_with_the_token_down_two_thirds_of_a_leafs_life_are_the_limit(
    health: Health, clock: Clock, share: float, *, is_ready: bool
) -> None:
    health.token("main", TokenDown("its process ended"))
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
    health.token("main", TokenDown("its process ended"))
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
    health.ticket_key(TicketKeyReplaced("02", "main"))
    assert concerns(health) == []
    health.ticket_key(TicketKeyErased("01", 5, 4))
    assert health.ticket_key_status.key == "02"
    health.ticket_key(TicketKeyErased("02", 5, 4))
    assert not health.ticket_key_status.key


def test_signatures_that_do_not_come_are_a_concern_for_a_minute(health: Health, clock: Clock) -> None:
    health.batch(BatchSigned(LeafKind.SERVER_VERIFY, 4, 4, bytes(32), "main"))
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


def test_three_tokens_that_are_up_are_no_concern(three: Health) -> None:
    assert concerns(three) == []
    assert three.hsm.state == "up"
    assert three.hsm.quorum == 2
    assert [(each.name, each.state) for each in three.hsm.tokens] == [("a", "up"), ("b", "up"), ("c", "up")]


def test_one_of_three_down_is_a_concern_of_its_own_and_calls_go_on(three: Health, clock: Clock) -> None:
    three.token("b", TokenDown("its process ended"))
    clock.moved += 12
    concern = the_one(three)
    assert (concern.severity, concern.cause) == ("degraded", "hsm.b")
    assert concern.what == "down since 12 s: its process ended"
    assert concern.remedy.startswith("calls go on with the others; it is started again by itself")
    assert three.readiness().ready
    assert (three.hsm.state, three.hsm.seconds, three.hsm.reason) == ("up", 12, "")
    three.certificate("tls_leaf", RenewalFailed("refused", 1.0, 0))
    assert {each.cause for each in three.concerns()} == {"hsm.b", "leaf"}, "with tokens up it is no matter of theirs"
    three.token("b", TokenUp(9))
    assert {each.cause for each in three.concerns()} == {"hsm.b", "leaf"}, "another one is forgotten by none"
    assert [each.replacements for each in three.hsm.tokens] == [0, 1, 0]


def test_one_of_three_locked_says_whose_pin_to_mend(three: Health) -> None:
    three.token("c", TokenLocked("the PIN does not open it"))
    concern = the_one(three)
    assert (concern.severity, concern.cause) == ("degraded", "hsm.c")
    assert concern.what == "locked since 0 s: the PIN does not open it"
    assert concern.remedy == "put the right PIN into hsm.nodes.c.pin_file, then start the proxy anew"


def test_below_the_quorum_there_is_no_new_key_and_one_concern(three: Health, clock: Clock) -> None:
    three.token("a", TokenDown("its process ended"))
    clock.moved += 5
    three.token("c", TokenLocked("the PIN does not open it"))
    concern = the_one(three)
    assert (concern.severity, concern.cause) == ("degraded", "hsm")
    assert concern.what == (
        "1 of 3 tokens is up, too few for a new key, which needs 2: a down since 5 s: its process ended; "
        "c locked since 0 s: the PIN does not open it"
    )
    assert concern.remedy == "put the right PIN into hsm.nodes.c.pin_file, then start the proxy anew"
    assert three.readiness().ready


def test_with_all_of_three_down_new_calls_should_go_elsewhere(three: Health, clock: Clock) -> None:
    for name in "abc":
        three.token(name, TokenDown("its directory is missing"))
        clock.moved += 1
    three.batch(BatchFailed(LeafKind.SERVER_VERIFY, 4, "no token is up"))
    concern = the_one(three)
    assert (concern.severity, concern.cause) == ("unready", "hsm")
    assert concern.what.startswith("a down since 3 s: its directory is missing; b down since 2 s")
    assert three.readiness().reasons == ("hsm_down",)
    assert (three.hsm.state, three.hsm.seconds) == ("down", 1)
    three.token("c", TokenUp(12))
    assert three.readiness().ready
    assert [each.cause for each in three.concerns() if each.severity != "notice"] == ["hsm"]


def test_a_token_whose_keys_nobody_certifies_is_named(three: Health) -> None:
    three.certificate("voice", RenewalFailed("it is not in keys/serving.json", 0.0, 0, "b"))
    concern = the_one(three)
    assert (concern.severity, concern.cause) == ("degraded", "voice_certificate.b")
    assert concern.what.endswith("token b, which signs for nobody: it is not in keys/serving.json")
    three.certificate("voice", msgspec.structs.replace(renewed(0, WEEK), node="b"))
    assert concerns(three) == []


def test_a_token_that_an_operator_has_taken_out_of_use_does_not_come_back_by_itself(three: Health) -> None:
    three.token("b", TokenDown("a new fan", is_held=True))
    concern = the_one(three)
    assert (concern.cause, concern.what.endswith(": a new fan")) == ("hsm.b", True)
    assert concern.remedy == "calls go on with the others; sottovoce hsm failover --back takes it into use again"
    three.token("a", TokenDown("gone"))
    assert "it is started again by itself" in the_one(three).remedy
