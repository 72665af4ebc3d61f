"""A running proxy is scraped over HTTP after a call, in both formats, and by Prometheus' own tool."""

import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.interop.prometheus.test_promtool import promtool
from tests.observe.metrics.exercised import exercised, samples
from tests.running import ROOT, make_directory, running_proxy, sottovoce


def scrape(admin: str, accept: str) -> tuple[str, str]:
    request = urllib.request.Request(f"{admin}/metrics", headers={"Accept": accept})  # noqa: S310  it is http
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  likewise
        return answer.read().decode(), answer.headers["Content-Type"]


@pytest.mark.interop(tool=("promtool", "softhsm2-util"))
def test_a_running_proxy_is_scraped(tmp_path: Path) -> None:
    directory = make_directory(tmp_path)
    with running_proxy(directory) as proxy:
        done = sottovoce("call", f"{proxy.url}/echo", ROOT / "loadtest/audio/speech-16k.wav", "--dir", directory)
        assert done.returncode == 0, done.stderr
        text, content_type = scrape(proxy.admin, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        plain, plain_type = scrape(proxy.admin, "text/plain;version=0.0.4")
    assert content_type.startswith("application/openmetrics-text")
    assert plain_type.startswith("text/plain")
    promtool("check", "metrics", said=plain.encode())
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    assert {each.name for each in found} <= {each.name for each in samples(exercised())}
    [session] = proxy.events("session.established")
    client, port = session["client"].rsplit(":", 1)
    words = {session["session"], session["client"], client, port}
    assert not [each for each in found if words & set(each.labels.values())]
    frames = {tuple(each.labels.values()): each.value for each in found if each.name == "sottovoce_frames_total"}
    assert frames["to_backend", "forwarded"] == frames["to_client", "forwarded"] > 0
