from sottovoce.observe.metrics import Metrics
from tests.observe.metrics.exercised import VERSIONS, samples, value

SUITE = "X25519MLKEM768_AES256GCM"


def test_sessions_now_and_at_most() -> None:
    metrics = Metrics(VERSIONS)
    for _ in range(3):
        metrics.calls.session_established("bot", "X25519MLKEM768", SUITE, is_resumed=False)
    metrics.calls.session_ended(1000, "client", is_truncated=False)
    assert value(metrics, "sottovoce_live_sessions") == 2
    assert value(metrics, "sottovoce_peak_sessions") == 3
    assert value(metrics, "sottovoce_ended_sessions_total", code="normal", side="client") == 1
    assert value(metrics, "sottovoce_truncated_sessions_total") == 0


def test_handshakes_by_group_suite_and_result() -> None:
    metrics = Metrics(VERSIONS)
    metrics.calls.session_established("bot", "X25519MLKEM768", SUITE, is_resumed=False)
    metrics.calls.session_established("bot", "X25519MLKEM768", SUITE, is_resumed=True)
    metrics.calls.session_refused(4406)
    name, hybrid = "sottovoce_handshakes_total", {"tls_group": "X25519MLKEM768", "suite": SUITE}
    assert value(metrics, name, **hybrid, result="full") == 1
    assert value(metrics, name, **hybrid, result="resumed") == 1
    assert value(metrics, name, tls_group="none", suite="none", result="no_common_suite") == 1


def test_routes_of_the_configuration_begin_at_none_and_others_are_other() -> None:
    metrics = Metrics(VERSIONS)
    metrics.calls.know_routes(["bot"])
    metrics.calls.know_routes(["bot", "echo"])
    assert {each.labels["route"] for each in samples(metrics) if each.name == "sottovoce_calls_total"} == {
        "bot",
        "echo",
    }
    metrics.calls.session_established("gone", "X25519", SUITE, is_resumed=False)
    assert value(metrics, "sottovoce_calls_total", route="other") == 1


def test_epochs_by_what_they_began_with() -> None:
    metrics = Metrics(VERSIONS)
    metrics.calls.session_established("bot", "X25519", SUITE, is_resumed=False)
    metrics.calls.session_rekeyed(reauthenticated=False)
    metrics.calls.session_rekeyed(reauthenticated=True)
    assert [
        value(metrics, "sottovoce_epochs_total", kind=kind) for kind in ("first", "rekeyed", "reauthenticated")
    ] == [1, 1, 1]
