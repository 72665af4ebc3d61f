import re
from itertools import product

import pytest
import trio

from sottovoce.client import errors
from sottovoce.client.errors import (
    CLEAN_CODES,
    ERRORS_BY_CODE,
    CallEnded,
    CallError,
    CallTruncated,
    ConnectFailed,
    EndedWithCode,
    ServerNotTrusted,
    UnlistedCode,
    dial_failure,
    failure_of,
    tls_failure,
    upgrade_failure,
)
from sottovoce.client.items import Ended
from sottovoce.transport import CertificateProblem, CertificateRefused, TlsError, TlsReason
from sottovoce.wire import Code

_UNSAID = re.compile(r"unknown|secure|end-to-end|encrypted", re.IGNORECASE)


def _check_text(error: CallError) -> None:
    text = str(error)
    assert "\n" not in text
    assert error.remedy
    assert text.endswith("; " + error.remedy)
    assert not _UNSAID.search(text), text


def test_each_code_but_the_good_ones_has_a_class_of_its_own() -> None:
    assert set(ERRORS_BY_CODE) == set(Code) - CLEAN_CODES
    assert len(set(ERRORS_BY_CODE.values())) == len(ERRORS_BY_CODE)


def _ended(code: int, *, local: bool = False, truncated: bool = False) -> Ended:
    return Ended(code, "the reason", truncated=truncated, local=local)


@pytest.mark.parametrize(("code", "local"), [*product(sorted(set(Code) - CLEAN_CODES), (True, False))])
def test_each_end_says_its_code_and_what_to_do(code: Code, *, local: bool) -> None:
    failure = failure_of(_ended(code, local=local), was_open=True, was_heard=True)
    assert type(failure) is ERRORS_BY_CODE[code]
    assert isinstance(failure, EndedWithCode)
    assert (failure.code, failure.local) == (code, local)
    assert f"{code.value} {code.label}" in str(failure)
    assert ("the reason" in str(failure)) is local
    assert "unproven" not in str(failure)
    _check_text(failure)


@pytest.mark.protocol("P3.38")
@pytest.mark.parametrize("code", sorted(set(Code) - CLEAN_CODES))
@pytest.mark.parametrize("was_open", [True, False])
def test_before_the_server_used_the_keys_its_code_is_a_hint_and_said_to_be_one(code: Code, *, was_open: bool) -> None:
    failure = failure_of(_ended(code, truncated=True), was_open=was_open, was_heard=False)
    assert type(failure) is ERRORS_BY_CODE[code]
    assert isinstance(failure, EndedWithCode)
    assert "unproven" in str(failure)
    _check_text(failure)


def test_each_class_says_something_of_its_own_on_each_side() -> None:
    said = [kind.found_here[0] for kind in ERRORS_BY_CODE.values()]
    heard = [kind.said_by_server[0] for kind in ERRORS_BY_CODE.values()]
    assert len(set(said)) == len(said)
    assert len(set(heard)) == len(heard)


@pytest.mark.parametrize("code", sorted(CLEAN_CODES))
def test_hanging_up_is_no_failure_but_in_a_call_that_never_was(code: Code) -> None:
    assert failure_of(_ended(code, local=True), was_open=True, was_heard=False) is None
    assert type(failure_of(_ended(code, local=True), was_open=False, was_heard=False)) is CallEnded


@pytest.mark.protocol("P10.18")
def test_a_server_that_gives_a_call_up_has_not_ended_it_well() -> None:
    assert failure_of(_ended(Code.NORMAL), was_open=True, was_heard=True) is None
    left = failure_of(_ended(Code.GOING_AWAY), was_open=True, was_heard=True)
    assert type(left) is CallTruncated
    assert left.code == Code.GOING_AWAY
    _check_text(left)


@pytest.mark.protocol("P7.50")
@pytest.mark.parametrize("code", [1000, 1006, 4401, 4450, 4999])
def test_without_the_last_word_even_a_good_code_is_a_cut(code: int) -> None:
    failure = failure_of(_ended(code, truncated=True), was_open=True, was_heard=True)
    assert type(failure) is CallTruncated
    assert failure.code == code
    assert ("unproven" in str(failure)) is (code != 1006)
    _check_text(failure)


@pytest.mark.parametrize("local", [True, False])
def test_a_code_of_later_days_stays_a_number(*, local: bool) -> None:
    failure = failure_of(_ended(4777, local=local), was_open=True, was_heard=True)
    assert type(failure) is UnlistedCode
    assert "4777" in str(failure)
    _check_text(failure)


@pytest.mark.parametrize("code", [1000, 1006, 1011, 4777])
def test_before_there_are_keys_any_other_end_is_a_failed_connection(code: int) -> None:
    failure = failure_of(_ended(code, truncated=True), was_open=False, was_heard=False)
    assert type(failure) is ConnectFailed
    _check_text(failure)


@pytest.mark.parametrize("problem", CertificateProblem)
def test_a_certificate_that_is_not_trusted(problem: CertificateProblem) -> None:
    failure = tls_failure(CertificateRefused(problem, "text"), "a.example:1")
    assert isinstance(failure, ServerNotTrusted)
    assert failure.problem is problem
    assert "a.example:1" in str(failure)
    assert "bypass" not in str(failure)
    assert not re.search("unknown [^c]", str(failure))


@pytest.mark.parametrize("reason", TlsReason)
def test_tls_that_fails_otherwise(reason: TlsReason) -> None:
    failure = tls_failure(TlsError(reason, "what TLS says"), "a.example:1")
    assert type(failure) is ConnectFailed
    assert "what TLS says" in str(failure)
    _check_text(failure)


@pytest.mark.parametrize("status", [None, 200, 302, 308, 400, 401, 403, 404, 426, 429, 500, 503])
def test_an_upgrade_that_is_refused(status: int | None) -> None:
    failure = upgrade_failure("refused", status, "a.example:1")
    assert failure.status == status
    assert ("does not follow" in failure.remedy) is (status in {302, 308})
    _check_text(failure)


async def test_a_host_that_cannot_be_reached_says_why() -> None:
    with trio.socket.socket() as placeholder:
        await placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
        with pytest.raises(OSError, match="all attempts") as refusal:
            await trio.open_tcp_stream("127.0.0.1", port)
    failure = dial_failure(refusal.value, f"127.0.0.1:{port}")
    assert "refused" in str(failure)
    _check_text(failure)


def test_a_name_that_does_not_exist_says_so() -> None:
    failure = dial_failure(OSError(-2, "Name or service not known"), "nowhere.invalid:443")
    assert "nowhere.invalid:443: Name or service not known" in str(failure)
    assert "no answer" in str(dial_failure(OSError(), "a.example:1"))


def test_every_class_of_the_module_is_offered_by_the_package() -> None:
    import sottovoce.client as package  # noqa: PLC0415  what the package offers is what is looked at

    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CallError)}
    assert classes <= set(package.__all__)
