import pytest

from sottovoce.client.continuity import Backoff, may_pass
from sottovoce.client.continuity.retry import FIRST_SECONDS, LONGEST_SECONDS, STABLE_SECONDS
from sottovoce.client.errors import (
    CallEnded,
    CallError,
    CallMisconfigured,
    CallTruncated,
    ConnectFailed,
    Draining,
    ServerNotTrusted,
    dial_failure,
    dial_timeout,
    failure_of,
    tls_failure,
    upgrade_failure,
)
from sottovoce.client.items import Ended
from sottovoce.transport import CertificateProblem, CertificateRefused, TlsError, TlsReason
from sottovoce.wire import Code


class _Chance:
    def __init__(self, value: int) -> None:
        self.value = value

    def random(self, length_bytes: int) -> bytes:
        return self.value.to_bytes(length_bytes)


def _failure(code: int, *, local: bool = False, truncated: bool = False, heard: bool = True) -> CallError:
    ended = Ended(code, "why", local=local, truncated=truncated)
    failure = failure_of(ended, was_open=True, was_heard=heard)
    assert failure is not None
    return failure


@pytest.mark.parametrize("code", sorted(set(Code) - {1000, 1001}))
@pytest.mark.parametrize("local", [True, False])
def test_of_all_codes_only_a_drain_and_our_own_time_limits_pass(code: Code, *, local: bool) -> None:
    expected = code == Code.DRAINING or (code == Code.EXPIRED and local)
    assert may_pass(_failure(code, local=local)) is expected


@pytest.mark.parametrize("code", sorted(set(Code) - {1000, 1001}))
def test_of_what_is_said_before_there_are_keys_a_full_house_and_a_slow_one_pass_too(code: Code) -> None:
    failure = _failure(code, truncated=True, heard=False)
    assert may_pass(failure) is (code in {Code.DRAINING, Code.RATE_LIMITED, Code.EXPIRED})


def test_a_cut_passes() -> None:
    assert may_pass(_failure(1006, truncated=True))
    assert may_pass(CallTruncated("cut", "call again"))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (dial_failure(OSError(111, "Connection refused"), "a:1"), True),
        (dial_failure(OSError(-3, "Temporary failure in name resolution"), "a:1"), True),
        (dial_timeout("a:1"), True),
        *((upgrade_failure("no", status, "a:1"), True) for status in (429, 500, 502, 503, 504)),
        *((upgrade_failure("no", status, "a:1"), False) for status in (None, 200, 301, 400, 401, 403, 404, 426)),
        *((tls_failure(TlsError(reason, "tls"), "a:1"), reason is TlsReason.TRUNCATED) for reason in TlsReason),
        (tls_failure(CertificateRefused(CertificateProblem.EXPIRED, "old"), "a:1"), False),
        (failure_of(Ended(1006, "", local=False, truncated=True), was_open=False, was_heard=False), True),
        (ServerNotTrusted("no", "no", CertificateProblem.OTHER), False),
        (ConnectFailed("no", "no"), False),
        (CallMisconfigured("no", "no"), False),
        (CallEnded("no", "no"), False),
    ],
)
def test_connections_that_do_not_come_about(failure: CallError, *, expected: bool) -> None:
    assert may_pass(failure) is expected


def test_delays_double_up_to_the_longest_and_half_of_each_is_chance() -> None:
    cut = _failure(1006, truncated=True)
    for chance, share in ((0, 0.5), (0xFFFF, 1.0)):
        backoff = Backoff(_Chance(chance))
        delays = [backoff.after(cut, 0.0) for _ in range(10)]
        assert delays == [min(FIRST_SECONDS * 2**number, LONGEST_SECONDS) * share for number in range(10)]


def test_after_a_drain_the_first_attempt_comes_soon_and_at_any_moment() -> None:
    drain = _failure(Code.DRAINING)
    assert isinstance(drain, Draining)
    for chance, first in ((0, 0.0), (0xFFFF, FIRST_SECONDS)):
        backoff = Backoff(_Chance(chance))
        assert backoff.after(drain, 0.0) == first
        assert backoff.after(drain, 0.0) >= FIRST_SECONDS


def test_an_unproven_drain_is_not_trusted_with_that() -> None:
    assert Backoff(_Chance(0)).after(_failure(Code.DRAINING, truncated=True, heard=False), 0.0) == FIRST_SECONDS / 2


def test_only_a_call_that_lasted_begins_it_anew() -> None:
    cut = _failure(1006, truncated=True)
    backoff = Backoff(_Chance(0xFFFF))
    for expected, lasted in ((0.25, 0.0), (0.5, STABLE_SECONDS - 1), (1.0, 0.0), (0.25, STABLE_SECONDS), (0.5, 1.0)):
        assert backoff.after(cut, lasted) == expected
