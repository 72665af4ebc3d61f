import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.outcome import Quantiles
from loadtest.report import ThresholdMalformed, parse_threshold
from loadtest.report.threshold import QUANTITIES
from tests.loadtest.report.outcomes import outcome, route, silent

LATENCIES = {"p50": 0.8, "p90": 1.2, "p99": 2.1, "p999": 4.4, "max": 9.0}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("p99>20ms", None),
        ("p99>2ms", "p99>2ms: it is 2.10 ms"),
        ("p99 > 2000 us", "p99 > 2000 us: it is 2.10 ms"),
        ("p99>2000µs", "p99>2000µs: it is 2.10 ms"),
        ("max>=0.009s", "max>=0.009s: it is 9.00 ms"),
        ("p50<1ms", "p50<1ms: it is 0.80 ms"),
        ("p50<=0.7ms", None),
        ("lost>9", "lost>9: it is 10"),
        ("lost>10", None),
        ("lost>0.01%", "lost>0.01%: it is 0.02 %"),
        ("lost>=0.1 %", None),
        ("cpu>21us", "cpu>21us: it is 21.2 µs"),
        ("failed>0", None),
        ("lateness.p99>0.2ms", "lateness.p99>0.2ms: it is 0.21 ms"),
        ("p99>20ms,lost>9, max>5ms", "lost>9: it is 10; max>5ms: it is 9.00 ms"),
    ],
)
def test_a_run_against_it(text: str, why: str | None) -> None:
    assert parse_threshold(text).missed_by(outcome()) == why


def test_failed_calls_are_counted_over_all_routes() -> None:
    run = outcome(routes=(route(calls_failed=1), route(calls_failed=2)))
    assert parse_threshold("failed>2").missed_by(run) == "failed>2: it is 3"


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_what_was_not_measured_is_not_kept(quantity: str) -> None:
    unit = {"lost": "%", "failed": "", "cpu": "us"}.get(quantity, "ms")
    why = parse_threshold(f"{quantity}>1000{unit}").missed_by(silent())
    assert (why is None) == (quantity == "failed")
    assert quantity == "failed" or "nothing shows that it is kept" in str(why)


def test_a_discarded_run_keeps_nothing() -> None:
    run = outcome(discarded="the generator was the limit")
    assert parse_threshold("p99>1s").missed_by(run) == "no verdict, the run is discarded: the generator was the limit"
    assert parse_threshold("p99>1ms").missed_by(run) == "p99>1ms: it is 2.10 ms"


def test_a_latency_that_is_no_number_is_not_kept() -> None:
    run = outcome(latency=Quantiles(1, 1.0, 1.0, float("nan"), 1.0, 1.0))
    assert "nothing shows" in str(parse_threshold("p99>1s").missed_by(run))


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("", "character 1, at its end", "write one of p50, p90, p99, p999, max, lost, lateness.p99, cpu, failed"),
        ("p9>20ms", "character 1, at 'p9>20ms'", "write one of p50"),
        ("p99", "character 4, at its end", "write >, >=, < or <= behind p99"),
        ("p99=>3ms", "character 4, at '=>3ms'", "write >, >=, < or <= behind p99"),
        ("p99>>3ms", "character 4, at '>>3ms'", "write >, >=, < or <= behind p99"),
        ("p99>ms", "character 5, at 'ms'", "write a number behind >"),
        ("p99>-1ms", "character 5, at '-1ms'", "write a number behind >"),
        ("p99>20", "character 7, at its end", "p99 wants a unit: us, ms, s"),
        ("p99>20m", "character 7, at 'm'", "p99 wants a unit"),
        ("cpu>20ms", "character 7, at 'ms'", "cpu wants a unit: us"),
        ("lost>1ms", "character 7, at 'ms'", "lost is a count, or a share with %"),
        ("failed>1%", "character 9, at '%'", "failed is a count of calls, without a unit"),
        ("p99>20ms;lost>1", "character 9, at ';lost>1'", "a comma goes between two conditions"),
        ("p99>20ms,", "character 10, at its end", "write one of p50"),
        ("p99>20ms,,lost>1", "character 10, at ',lost>1'", "write one of p50"),
    ],
)
def test_a_slip_is_named_with_its_place(text: str, place: str, remedy: str) -> None:
    with pytest.raises(ThresholdMalformed) as caught:
        parse_threshold(text)
    assert place in str(caught.value)
    assert remedy in str(caught.value)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        threshold = parse_threshold(text)
    except ThresholdMalformed as error:
        refused = str(error)
    else:
        threshold.missed_by(outcome())
        return
    assert len(refused.splitlines()) == 1
    assert len(refused) < 400


@given(
    st.sampled_from(sorted(LATENCIES)),
    st.sampled_from([">", ">=", "<", "<="]),
    st.decimals(0, 1000, places=3, allow_nan=False),
    st.sampled_from(["us", "ms", "s"]),
    st.text(" ", max_size=2),
)
def test_it_judges_as_arithmetic_does(quantity: str, comparison: str, value: object, unit: str, gap: str) -> None:
    milliseconds = float(str(value)) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    found = LATENCIES[quantity]
    is_true = {">": found > milliseconds, ">=": found >= milliseconds, "<": found < milliseconds,
               "<=": found <= milliseconds}[comparison]  # fmt: skip
    text = f"{quantity}{gap}{comparison}{gap}{value:f}{gap}{unit}"
    assert (parse_threshold(text).missed_by(outcome()) is not None) == is_true
