"""The metrics of a whole proxy, in this process, with a real token; and what is measured around a backend."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from sottovoce.app.floor import MeasuredRoute, versions
from sottovoce.app.serving.measuring import _life_left
from sottovoce.app.serving.parts import Parts
from sottovoce.client import connect
from sottovoce.hsm import ONLY_NODE
from sottovoce.observe import get_logger
from sottovoce.observe.metrics import Metrics
from sottovoce.pki import Validity
from sottovoce.relay import BackendDown, BackendFault
from sottovoce.settings import load
from tests.edge.proxy import RecordingRoute
from tests.observe.metrics.exercised import VERSIONS, samples, value

FRAMES = 20


@asynccontextmanager
async def serving(directory: Path) -> AsyncGenerator[Parts]:
    file = directory / "sottovoce.toml"
    anywhere = ("admin.address=127.0.0.1:0", "listener.address=127.0.0.1:0")  # other tests and programs run beside
    configuration = load(file, anywhere).resolved(directory)
    async with AsyncExitStack() as stack:
        parts = await Parts.build(configuration, file, get_logger(__name__), stack)
        async with trio.open_nursery() as nursery:
            for task in parts.background_tasks:
                nursery.start_soon(task)
            nursery.start_soon(parts.carrier.serve)
            yield parts
            nursery.cancel_scope.cancel()


async def _call(directory: Path, port: int) -> None:
    async with connect(
        f"wss://localhost:{port}/echo", anchor=directory / "certs/anchor.json", ca=directory / "certs/ca.pem"
    ) as call:
        for _ in range(FRAMES):
            await call.send(bytes(160))
        for _ in range(FRAMES):
            await anext(call)


@pytest.mark.interop(tool="softhsm2-util")
async def test_a_call_through_a_whole_proxy_is_in_its_metrics(directory: Path) -> None:
    async with serving(directory) as parts:
        port = int(parts.carrier.addresses["listener"].rpartition(":")[2])
        await _call(directory, port)
        await trio.sleep(0.3)
        metrics = parts.metrics
        found = {each.name: each.value for each in samples(metrics) if not each.labels}
        assert value(metrics, "sottovoce_frames_total", direction="to_client", outcome="forwarded") == FRAMES
        assert value(metrics, "sottovoce_frames_total", direction="to_backend", outcome="forwarded") == FRAMES
        assert value(metrics, "sottovoce_calls_total", route="echo") == 1
        assert value(metrics, "sottovoce_roots_total", kind="server_verify", outcome="signed") == 1
        assert value(metrics, "sottovoce_tickets_total", outcome="issued") == 1
        for operation in ("sign_root", "issue_leaf", "issue_voice_certificate", "new_ticket_key", "open_ticket_key"):
            asked = {"node": ONLY_NODE, "operation": operation, "outcome": "answered"}
            assert value(metrics, "sottovoce_hsm_seconds_count", **asked) == 1
        assert value(metrics, "sottovoce_backend_connect_seconds_count", route="echo", outcome="connected") == 1
        assert value(metrics, "sottovoce_certificate_renewals_total", kind="tls_leaf", outcome="issued") == 1
        assert value(metrics, "sottovoce_hsm_wait_seconds_count", node=ONLY_NODE) == 5
        assert value(metrics, "sottovoce_token_up", node=ONLY_NODE) == 1
        assert value(metrics, "sottovoce_token_starts_total", node=ONLY_NODE) == 1
        assert value(metrics, "sottovoce_token_breaker", node=ONLY_NODE, state="closed") == 1
        assert value(metrics, "sottovoce_token_sessions", node=ONLY_NODE, state="open") == 3
        assert value(metrics, "sottovoce_token_sessions", node=ONLY_NODE, state="busy") == 0
        assert value(metrics, "sottovoce_token_renewals_total", node=ONLY_NODE, what="sessions") == 0
        assert value(metrics, "sottovoce_token_renewals_total", node=ONLY_NODE, what="keys") > 0
    assert found["sottovoce_hsm_quorum_up"] == found["sottovoce_audit_up"] == found["sottovoce_ready_up"] == 1
    assert 0.9 < found["sottovoce_leaf_life_ratio"] <= 1
    assert found["sottovoce_leaf_expiry_seconds"] > 3_600
    assert found["sottovoce_voice_certificate_expiry_seconds"] > 3_600
    assert 0 <= found["sottovoce_ticket_key_age_seconds"] < 60
    assert found["sottovoce_audit_records_total"] > 3
    assert found["sottovoce_loop_lag_seconds_count"] >= 1
    assert found["sottovoce_handshake_seconds_count"] == 1
    assert found["process_open_fds"] > 3


async def test_how_long_a_backend_takes_to_connect_and_to_fail(autojump_clock: MockClock) -> None:
    metrics, hand = Metrics(VERSIONS), RecordingRoute()
    metrics.calls.know_routes(["hand"])
    route = MeasuredRoute(hand, metrics.calls)
    hand.seconds = 0.03
    with pytest.raises(KeyError):
        async with route.connect(None, None):  # type: ignore[arg-type]  # neither is looked at
            raise KeyError("of the block: it passes as it is")
    hand.error = BackendDown(BackendFault.UNREACHABLE, "nobody is there")
    with pytest.raises(BackendDown):
        async with route.connect(None, None):  # type: ignore[arg-type]
            raise AssertionError("it is not entered")
    name = "sottovoce_backend_connect_seconds"
    for outcome in ("connected", "failed"):
        assert value(metrics, f"{name}_count", route="hand", outcome=outcome) == 1
        assert value(metrics, f"{name}_sum", route="hand", outcome=outcome) == pytest.approx(0.03)


def test_a_measured_route_looks_like_the_one_it_measures() -> None:
    hand = RecordingRoute()
    route = MeasuredRoute(hand, Metrics(VERSIONS).calls)
    for name in ("name", "codecs", "warnings", "plaintext_network"):
        assert getattr(route, name) == getattr(hand, name)


@pytest.mark.parametrize(("now", "left"), [(0, 1.0), (100, 1.0), (150, 0.5), (200, 0.0), (300, 0.0)])
def test_what_is_left_of_a_life(now: float, left: float) -> None:
    assert _life_left(Validity(100, 200), now) == left
    assert _life_left(Validity(0, 0), now) == 0


def test_the_versions_are_named() -> None:
    assert set(versions()) == set(VERSIONS)
    assert all(versions().values())
