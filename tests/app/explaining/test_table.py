import re
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.app.explaining import TABLE, Kind, document, find, nearest
from sottovoce.app.serving.health.health import _WORDS  # of the reasons of /readyz
from sottovoce.client import ERRORS_BY_CODE
from sottovoce.client.errors import upgrade_failure
from sottovoce.observe import events
from sottovoce.observe.metrics.labels import LIMITS, OPEN_FILES, PROXY_HEADER
from sottovoce.relay import BackendFault
from sottovoce.transport import CertificateProblem, TlsReason
from sottovoce.transport.records.alerts import _NAMES as _ALERTS  # the alerts that may be named to a person
from sottovoce.wire import Code

ROOT = Path(__file__).parents[3]
EVENTS = sorted(value for name, value in vars(events).items() if name.isupper())
ANSWERED_STATUSES = (400, 403, 404, 405, 426, 431, 503)


@pytest.mark.parametrize("code", Code)
def test_each_code_is_explained_and_says_what_the_client_says(code: Code) -> None:
    (entry,) = [each for each in find(str(code.value)) if each.kind is Kind.END]
    assert entry.name == code.label
    assert entry in find(code.label)
    error = ERRORS_BY_CODE.get(code)
    if error is not None:
        told = "\n".join(entry.remedies)
        assert error.found_here[1] in told
        assert error.said_by_server[1] in told


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        *((Kind.BACKEND, fault.value) for fault in BackendFault),
        *((Kind.ALERT, number) for number in _ALERTS),
        *((Kind.ALERT, name) for name in _ALERTS.values()),
        *((Kind.TLS, reason.value) for reason in TlsReason),
        *((Kind.CERTIFICATE, problem.value) for problem in CertificateProblem),
        *((Kind.HTTP, status) for status in ANSWERED_STATUSES),
        *((Kind.EVENT, event) for event in EVENTS),
        *((Kind.REFUSAL, limit) for limit in (*sorted(LIMITS), OPEN_FILES, PROXY_HEADER)),
        *((Kind.READY, reason) for reason in ("draining", "no_worker", "audit_log_unwritable", "hsm_down")),
        *((Kind.READY, f"{word}_over") for word in _WORDS.values()),
        *((Kind.READY, f"hsm_down_and_{word}_low") for word in _WORDS.values()),
        *((Kind.EXIT, number) for number in (0, 1, 2, 3, 4, 128 + signal.SIGINT, 128 + signal.SIGTERM)),
    ],
)
def test_whatever_a_person_may_meet_is_explained(kind: Kind, word: object) -> None:
    assert len([each for each in find(str(word)) if each.kind is kind]) == 1


def test_a_status_has_the_remedy_of_the_client() -> None:
    for status in ANSWERED_STATUSES:
        (entry,) = [each for each in find(str(status)) if each.kind is Kind.HTTP]
        assert f"caller: {upgrade_failure('', status, '').remedy}" in entry.remedies


def test_none_is_without_text_and_none_is_unknown() -> None:
    for entry in TABLE:
        assert entry.meaning.endswith((".", "!")), entry
        assert entry.causes, entry
        assert entry.remedies, entry
        assert entry.name == entry.name.lower()
        for text in (entry.meaning, *entry.causes, *entry.remedies):
            assert text.isprintable()
            assert 3 < len(text) < 300, text
        assert "unknown" not in entry.meaning.lower()


def test_nothing_stands_there_twice() -> None:
    counts = Counter((entry.kind, entry.name) for entry in TABLE)
    assert max(counts.values()) == 1
    numbers = Counter(entry.number for entry in TABLE if entry.number is not None)
    assert max(numbers.values()) == 1


def test_no_text_claims_more_than_we_have() -> None:
    for entry in TABLE:
        said = " ".join((entry.meaning, *entry.causes, *entry.remedies)).lower()
        assert not re.search(r"\bsecure\b|end-to-end|fully encrypted", said)


def test_a_name_of_two_things_gives_both() -> None:
    assert [entry.kind for entry in find("expired")] == [Kind.END, Kind.CERTIFICATE]


def test_the_spelling_may_be_a_persons() -> None:
    assert find("BACKEND-DOWN") == find("backend_down") == find("4450") == find(" Backend down ")
    assert find("exit 3") == find("3")


@pytest.mark.parametrize(
    ("word", "near"),
    [("4433", "4429"), ("bakend_down", "backend_down"), ("tokn.lost", "token.lost")],
)
def test_a_slip_is_answered_with_what_is_near(word: str, near: str) -> None:
    assert find(word) == ()
    assert near in nearest(word)


@given(st.text())
def test_any_word_is_taken(word: str) -> None:
    found = find(word)
    assert all(entry in TABLE for entry in found)
    assert len(nearest(word)) <= 3


def test_the_document_is_made_of_the_table() -> None:
    assert (ROOT / "docs/errors.md").read_text() == document(), "run: make reference"
