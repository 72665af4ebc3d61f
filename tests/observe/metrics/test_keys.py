from sottovoce.observe.metrics import Metrics
from tests.observe.metrics.exercised import VERSIONS, samples, value


def test_tokens_of_the_configuration_begin_at_none_and_others_are_other() -> None:
    metrics = Metrics(VERSIONS)
    metrics.keys.know_nodes(["a"])
    metrics.keys.know_nodes(["a", "b"])
    for name in ("sottovoce_token_starts_total", "sottovoce_token_losses_total"):
        assert {each.labels["node"]: each.value for each in samples(metrics) if each.name == name} == {"a": 0, "b": 0}
    metrics.keys.token_started("a")
    metrics.keys.token_lost("c")
    assert value(metrics, "sottovoce_token_starts_total", node="a") == 1
    assert value(metrics, "sottovoce_token_losses_total", node="other") == 1


def test_a_call_that_no_token_answered_is_nobodys() -> None:
    metrics = Metrics(VERSIONS)
    metrics.keys.know_nodes(["a"])
    metrics.keys.call_took("", "sign_root", "HsmBusy", 0.0)
    metrics.keys.call_took("a", "sign_root", "answered", 0.004)
    name = "sottovoce_hsm_seconds_count"
    assert value(metrics, name, node="none", operation="sign_root", outcome="busy") == 1
    assert value(metrics, name, node="a", operation="sign_root", outcome="answered") == 1
