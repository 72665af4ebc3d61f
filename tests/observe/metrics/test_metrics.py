import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from sottovoce.observe import Uncounted
from sottovoce.observe.metrics import Metrics, labels
from tests.observe.metrics.exercised import OPENMETRICS, VERSIONS, exercised, samples, value

UNITS = (
    *("seconds", "bytes", "total", "ratio", "info", "up"),
    *("sessions", "handshakes", "calls", "leaves", "records", "tasks", "workers"),
    "breaker",
)
"""What a name may end in; `up` is 1 or 0, as Prometheus' own."""
PROMETHEUS_OWN = re.compile(r"process_(open|max)_fds")


def families(metrics: Metrics) -> dict[str, str]:
    """The names as a query would have them, and their types."""
    body, _ = metrics.exposition(OPENMETRICS)
    read = text_string_to_metric_families(body.decode())
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in read}


def test_a_scrape_is_openmetrics_when_that_is_asked_for() -> None:
    body, content_type = exercised().exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert list(text_string_to_metric_families(body.decode()))


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain;version=0.0.4", "text/html,nonsense;;q=x"])
def test_else_it_is_prometheus_own_text(accept: str) -> None:
    body, content_type = exercised().exposition(accept)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"# EOF" not in body
    names = {sample.name for family in plain_families(body.decode()) for sample in family.samples}
    assert names == {sample.name for sample in samples(exercised())}


def test_each_name_is_ours_and_ends_in_a_unit() -> None:
    for name in families(exercised()):
        if not PROMETHEUS_OWN.fullmatch(name):
            assert re.fullmatch(r"(sottovoce|process)(_[a-z]+)+", name), name
            assert name.endswith(UNITS), name


def test_each_has_a_help_text_that_is_a_sentence() -> None:
    body, _ = exercised().exposition(OPENMETRICS)
    for family in text_string_to_metric_families(body.decode()):
        assert family.documentation.endswith("."), family.name


def test_each_metric_is_exercised() -> None:
    metrics = exercised()
    moved = {each.name for each in samples(metrics) if each.value}
    for name, kind in families(metrics).items():
        assert {name, f"{name}_count"} & moved, f"{name} ({kind})"


def test_nothing_of_it_is_in_the_librarys_global_registry() -> None:
    before = [metric.name for metric in REGISTRY.collect()]
    exercised()
    assert [metric.name for metric in REGISTRY.collect()] == before


def test_two_proxies_do_not_share() -> None:
    one, other = Metrics(VERSIONS), Metrics(VERSIONS)
    one.calls.signature_late()
    assert value(one, "sottovoce_late_signatures_total") == 1
    assert value(other, "sottovoce_late_signatures_total") == 0


def test_what_runs_here_is_said() -> None:
    assert value(Metrics(VERSIONS), "sottovoce_build_info", **VERSIONS) == 1


def test_before_the_parts_are_there_nothing_is_read_off_them() -> None:
    assert not [each for each in samples(Metrics(VERSIONS)) if each.name.startswith("sottovoce_frames")]


TOLD_MUCH = exercised()


@settings(max_examples=30)
@given(st.text().map(lambda text: f"odd-{text}"), st.integers())
def test_nothing_from_outside_becomes_a_label(word: str, number: int) -> None:
    """Codes, names and reasons that nobody knows are `other`, however they are spelt."""
    _tell_odd_things(TOLD_MUCH, word, number)
    found = list(samples(TOLD_MUCH))
    assert not [each for each in found if any("odd-" in label for label in each.labels.values())]
    codes = {each.labels["code"] for each in found if "code" in each.labels}
    assert codes <= {*labels.CODES.values(), "other"}
    assert {each.labels["status"] for each in found if "status" in each.labels} <= {*labels.STATUSES, "other"}


def _tell_odd_things(metrics: Metrics, word: str, number: int) -> None:
    calls, keys = metrics.calls, metrics.keys
    calls.tls_refused(word)
    calls.upgrade_refused(number)
    calls.connection_refused(word)
    calls.session_refused(number)
    calls.session_established(word, word, word, is_resumed=False)
    calls.session_ended(number, word, is_truncated=False)
    calls.backend_lost(word, word)
    calls.backend_silent(word)
    calls.backend_connected(word, 1.0, succeeded=True)
    keys.call_took(word, word, word, 1.0)
    keys.certificate_renewed(word, succeeded=True)
    keys.ticket_key(word)
    keys.root_signed(word, 1)
    keys.root_failed(word)


@pytest.mark.parametrize(
    "tell",
    [
        lambda nobody: nobody.tls_refused("alert"),
        lambda nobody: nobody.upgrade_refused(404),
        lambda nobody: nobody.connection_refused("max_connections"),
        lambda nobody: nobody.session_refused(4401),
        lambda nobody: nobody.session_established("bot", "X25519", "", is_resumed=False),
        lambda nobody: nobody.handshake_took(1.0),
        lambda nobody: nobody.session_rekeyed(reauthenticated=True),
        lambda nobody: nobody.session_ended(1000, "client", is_truncated=False),
        lambda nobody: nobody.signature_late(),
        lambda nobody: nobody.backend_lost("bot", "lost"),
        lambda nobody: nobody.backend_silent("bot"),
        lambda nobody: nobody.connection_crashed(),
        lambda nobody: nobody.token_started("a"),
        lambda nobody: nobody.token_lost("a"),
        lambda nobody: nobody.certificate_renewed("voice", succeeded=True),
        lambda nobody: nobody.ticket_key("replaced"),
        lambda nobody: nobody.root_signed("server_verify", 1),
        lambda nobody: nobody.root_failed("server_verify"),
    ],
)
def test_who_has_no_metrics_counts_nothing(tell: Callable[[Uncounted], None]) -> None:
    tell(Uncounted())
