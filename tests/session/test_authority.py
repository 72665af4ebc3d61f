"""Names of servers: what a pattern stands for, and when two patterns mean one host."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.session import host_of, matches_any
from sottovoce.session.trust.authority import overlaps

labels = st.sampled_from(["a", "b", "A", "xn--e1afmkfd", "*", "", "1", "::1"])
names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@pytest.mark.protocol("P6.13", "P6.14")
@pytest.mark.parametrize(
    ("host", "pattern", "good"),
    [
        ("a.example", "A.Example", True),
        ("a.example", "*.example", True),
        ("b.a.example", "*.example", False),
        ("example", "*.example", False),
        (".example", "*.example", False),
        ("localhost", "*.", False),
        ("localhost", "*", False),
        ("a.example.", "a.example", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("127.0.0.1", "*.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", False),
        ("a.example", "127.0.0.1", False),
    ],
)
def test_what_a_pattern_stands_for(host: str, pattern: str, *, good: bool) -> None:
    assert matches_any(host, (pattern,)) is good
    assert matches_any(host, ("other.example", pattern)) is good
    assert not matches_any(host, ())


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Voice.Example:8443", "voice.example"),
        ("voice.example", "voice.example"),
        ("[::1]:8443", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("127.0.0.1:1", "127.0.0.1"),
    ],
)
def test_the_host_of_an_authority(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.protocol("P6.31")
@given(host=names, first=names, second=names)
def test_two_patterns_that_mean_one_host_overlap(host: str, first: str, second: str) -> None:
    if "*" not in host and matches_any(host, (first,)) and matches_any(host, (second,)):
        assert overlaps(first, second)
    assert overlaps(first, second) is overlaps(second, first)
    assert overlaps(first, first)
