from sottovoce.observe.metrics import Metrics, labels
from tests.observe.metrics.exercised import VERSIONS, samples, value

NAME = "sottovoce_reloads_total"


def test_every_series_is_there_before_anything_is_read_again() -> None:
    found = [each for each in samples(Metrics(VERSIONS)) if each.name == NAME]
    assert {(each.labels["what"], each.labels["outcome"]) for each in found} == {
        (what, outcome) for what, outcomes in labels.RELOADS.items() for outcome in outcomes
    }
    assert not any(each.value for each in found)


def test_each_is_counted_as_what_it_is() -> None:
    metrics = Metrics(VERSIONS)
    metrics.reloads.configuration_taken(waits=False)
    metrics.reloads.configuration_taken(waits=True)
    metrics.reloads.configuration_refused()
    metrics.reloads.clients_taken()
    metrics.reloads.clients_refused()
    for what, outcomes in labels.RELOADS.items():
        for outcome in outcomes:
            assert value(metrics, NAME, what=what, outcome=outcome) == 1, (what, outcome)


def test_a_successor_goes_on_with_them() -> None:
    metrics = Metrics(VERSIONS)
    metrics.reloads.configuration_refused()
    assert NAME.removesuffix("_total") in {family.name for family in metrics.happened().families}
