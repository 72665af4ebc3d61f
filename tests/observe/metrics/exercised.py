"""Metrics that have been told everything once, and how a test reads them."""

from collections.abc import Iterator

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sottovoce.observe import CallCounts
from sottovoce.observe.metrics import Metrics, Readings, TokenReading

OPENMETRICS = "application/openmetrics-text"
VERSIONS = {"version": "0.1.0", "python": "3.11.7", "openssl": "4.0.3", "cryptography": "50.0.2"}
CARRIED = CallCounts(
    from_client=9,
    lost_from_client=1,
    to_backend=7,
    to_backend_dropped=2,
    from_backend_ahead=3,
    to_client=5,
    to_client_dropped=4,
    to_client_oversize=6,
    generations=8,
)
READINGS = Readings(
    carried=CARRIED,
    half_open=2,
    tokens={
        "a": TokenReading(
            is_up=True,
            breaker="closed",
            sessions=3,
            in_flight=2,
            suspects=1,
            suspicions_total=1,
            renewals_total={"sessions": 2, "logins": 1, "keys": 9},
        ),
        "b": TokenReading(
            is_up=False,
            breaker="half_open",
            sessions=0,
            in_flight=0,
            suspects=0,
            suspicions_total=4,
            renewals_total={"sessions": 0, "logins": 0, "keys": 5},
        ),
    },
    hsm_waiting=3,
    has_quorum=True,
    is_sealed=False,
    hedges={"won": 2, "lost": 5},
    leaf_seconds=50_000.5,
    leaf_life=0.75,
    voice_certificate_seconds=400_000.0,
    voice_certificate_life=0.5,
    ticket_key_seconds=120.0,
    tickets={"issued": 4, "used": 3, "refused_expired": 1},
    audit_records=70,
    audit_unwritten=2,
    audit_is_up=True,
    is_ready=True,
    workers={"starting": 0, "serving": 2, "draining": 1},
    worker_restarts=1,
    tasks=12,
)


def exercised() -> Metrics:
    """Give metrics to which everything has happened."""
    metrics = Metrics(VERSIONS)
    metrics.watch(lambda: READINGS)
    _calls(metrics)
    _keys(metrics)
    _reloads(metrics)
    metrics.loop_lag.saw(0.003)
    return metrics


def _calls(metrics: Metrics) -> None:
    calls = metrics.calls
    calls.know_routes(["bot"])
    calls.tls_refused("not_tls")
    calls.upgrade_refused(404)
    calls.upgrade_refused(None)
    calls.connection_refused("max_handshakes is reached, most of it by this prefix")
    calls.session_refused(4401)
    calls.session_established("bot", "X25519MLKEM768", "X25519MLKEM768_AES256GCM", is_resumed=False)
    calls.session_established("bot", "X25519", "X25519_AES256GCM", is_resumed=True)
    calls.handshake_took(0.08)
    calls.session_rekeyed(reauthenticated=True)
    calls.session_rekeyed(reauthenticated=False)
    calls.backend_connected("bot", 0.002, succeeded=True)
    calls.backend_connected("bot", 5.0, succeeded=False)
    calls.backend_lost("bot", "closed: without a stop, code 1000")
    calls.backend_silent("bot")
    calls.signature_late()
    calls.session_ended(1001, "client", is_truncated=True)
    calls.connection_crashed()


def _keys(metrics: Metrics) -> None:
    keys = metrics.keys
    keys.know_nodes(["a", "b"])
    keys.call_took("a", "sign_root", "answered", 0.004)
    keys.call_took("", "sign_root", "HsmTimeout", 1.0)
    keys.call_took("b", "issue_leaf", "TokenProcessFailed", 0.1)
    keys.call_waited("a", 0.001)
    keys.token_started("a")
    keys.token_lost("b")
    keys.certificate_renewed("tls_leaf", succeeded=True)
    keys.certificate_renewed("voice", succeeded=False)
    keys.ticket_key("replaced")
    keys.root_signed("server_verify", 5)
    keys.root_failed("rekey_verify")


def _reloads(metrics: Metrics) -> None:
    reloads = metrics.reloads
    reloads.configuration_taken(waits=False)
    reloads.configuration_taken(waits=True)
    reloads.configuration_refused()
    reloads.clients_taken()
    reloads.clients_refused()


def samples(metrics: Metrics) -> Iterator[Sample]:
    """Give every sample of a scrape, as OpenMetrics' own parser reads it."""
    body, _ = metrics.exposition(OPENMETRICS)
    for family in text_string_to_metric_families(body.decode()):
        yield from family.samples


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Give one sample's value; of a series that is not there, 0."""
    found = [each.value for each in samples(metrics) if each.name == name and each.labels == labels]
    assert len(found) <= 1
    return found[0] if found else 0.0
