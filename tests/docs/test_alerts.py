"""Each alert tells what to do, names metrics that there are, and is tested both ways (promtool runs those tests)."""

import re

import pytest

from tests.docs.metrics_named import RULES, alerts, names_in, series
from tests.house.test_libraries import PACKAGE

TESTS = RULES.with_name("rules_test.yml").read_text(encoding="utf-8")


def test_all_that_was_asked_for_are_there() -> None:
    wanted = "TokenDown LeafExpiring VoiceCertificateExpiring LoopLag HandshakesFailing BackendDown BackendSilent"
    wanted += " FramesDropped AuditFailing NotHybrid Unready TokenOfSeveralDown NoQuorum WorkersLost ReloadRefused"
    assert set(alerts()) == {f"Sottovoce{name}" for name in wanted.split()}


@pytest.mark.parametrize("name", alerts())
def test_it_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    text = alerts()[name]
    assert re.search(r"severity: (page|ticket)\n", text)
    assert len(text.partition("runbook: >-")[2].split()) > 15
    assert "summary: " in text


@pytest.mark.parametrize("name", alerts())
def test_it_fires_and_does_not_fire_in_a_test(name: str) -> None:
    asked = f'count by (alertname) (ALERTS{{alertname="{name}", alertstate="firing"}})'
    cases = [case for case in TESTS.split("  - name: ")[1:] if asked in case]
    assert any("exp_samples: []" in case for case in cases)
    assert any("value: 1" in case for case in cases)


def test_only_metrics_that_there_are_are_named() -> None:
    assert names_in(RULES.read_text(encoding="utf-8")) <= series()
    assert names_in(TESTS) <= series()


def test_events_that_a_runbook_names_are_logged() -> None:
    events = (PACKAGE / "observe/events.py").read_text(encoding="utf-8")
    named = re.findall(
        r"\b(?:token|worker|leaf|voice_certificate|audit|configuration|clients)\.[a-z_]+\b",
        RULES.read_text(encoding="utf-8"),
    )
    assert named
    for name in named:
        assert f'"{name}"' in events
