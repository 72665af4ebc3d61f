"""Sets of voice certificates: which is current, and how long the others stay."""

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.identity.certificates import CertificateSets, GivenCertificates
from sottovoce.session import CLOCK_TOLERANCE_SECONDS, ServedCertificate
from tests.identity.certificates.software import SoftwareAnchor
from tests.pki.fake_token import SteppedClock

NODES = ("a", "b", "c")


class ClockAtRest(SteppedClock):
    """For tests without Trio."""

    def __init__(self) -> None:
        self.offset = 0.0

    def wall(self) -> float:
        return 0.0


FIRST, SECOND, THIRD = (SoftwareAnchor(ClockAtRest(), *NODES) for _ in range(3))


def issued(anchor: SoftwareAnchor, begin: int, seconds: int, *nodes: str) -> dict[str, ServedCertificate]:
    return {node: anchor.serve(node, begin, seconds) for node in nodes or NODES}


def id_of(anchor: SoftwareAnchor) -> bytes:
    return anchor.anchor.anchor_id


def test_before_the_first_set_there_is_nothing() -> None:
    sets = CertificateSets()
    assert sets.current is None
    assert sets.under("a", None, 0.0) is None
    assert sets.under("a", id_of(FIRST), 0.0) is None
    assert not sets.serves(id_of(FIRST), 0.0)


def test_the_newest_set_is_current_and_those_of_other_anchors_stay_until_they_end() -> None:
    sets = CertificateSets()
    first, second = issued(FIRST, 0, 1000), issued(SECOND, 700, 1000)
    sets.take(first, 0.0)
    assert sets.under("b", None, 10.0) is first["b"]
    sets.take(second, 700.0)
    assert sets.current == id_of(SECOND)
    assert sets.under("b", None, 700.0) is second["b"]
    last = 1000.0 + CLOCK_TOLERANCE_SECONDS
    assert sets.under("b", id_of(FIRST), last) is first["b"]
    assert sets.serves(id_of(FIRST), last)
    assert sets.under("b", id_of(FIRST), last + 1) is None
    assert not sets.serves(id_of(FIRST), last + 1)
    sets.take(issued(SECOND, 1400, 1000), last + 1)
    assert sets.under("b", id_of(FIRST), last) is None, "it was forgotten"


def test_a_renewal_takes_the_place_of_what_it_renews_and_leaves_the_rest() -> None:
    sets = CertificateSets()
    old, new = issued(FIRST, 0, 1000), issued(FIRST, 600, 1000, "a", "c")
    sets.take(old, 0.0)
    sets.take(new, 600.0)
    assert [sets.under(node, None, 700.0) for node in NODES] == [new["a"], old["b"], new["c"]]
    assert sets.under("b", None, 1301.0) is None
    assert sets.serves(id_of(FIRST), 1301.0)


def test_an_anchor_that_comes_back_has_what_is_left_of_it() -> None:
    sets = CertificateSets()
    sets.take(issued(FIRST, 0, 1000), 0.0)
    sets.take(issued(SECOND, 100, 1000), 100.0)
    again = issued(FIRST, 200, 1000)
    sets.take(again, 200.0)
    assert sets.current == id_of(FIRST)
    assert sets.under("a", None, 200.0) is again["a"]
    assert sets.serves(id_of(SECOND), 200.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([FIRST, SECOND, THIRD]),
            st.sets(st.sampled_from(NODES), min_size=1),
            st.integers(0, 2000),
            st.integers(60, 2000),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_given_lives_and_is_the_newest_of_its_node_and_anchor(
    rounds: list[tuple[SoftwareAnchor, set[str], int, int]],
) -> None:
    sets, wall = CertificateSets(), 0
    newest: dict[tuple[bytes, str], ServedCertificate] = {}
    for anchor, nodes, pause, seconds in rounds:
        wall += pause
        certificates = issued(anchor, wall, seconds, *sorted(nodes))
        sets.take(certificates, wall)
        newest |= {(id_of(anchor), node): each for node, each in certificates.items()}
        assert sets.current == id_of(anchor)
        for each in (FIRST, SECOND, THIRD):
            expected = {
                node: certificate
                for node in NODES
                if (certificate := newest.get((id_of(each), node))) is not None
                and wall <= certificate.decoded.fields.not_after + CLOCK_TOLERANCE_SECONDS
            }
            given_now = {node: sets.under(node, id_of(each), wall) for node in NODES}
            assert {node: found for node, found in given_now.items() if found is not None} == expected
            assert sets.serves(id_of(each), wall) is bool(expected)


def test_given_to_another_process_they_are_the_same() -> None:
    sets, given = CertificateSets(), GivenCertificates(ClockAtRest())
    assert sets.all == ()
    first, second = issued(FIRST, 0, 1000), issued(SECOND, 0, 1000)
    sets.take(first, 0.0)
    sets.take(second, 0.0)
    given.replace({node: each.encoded for node, each in one.items()} for one in sets.all)
    for anchor in (None, id_of(FIRST), id_of(SECOND)):
        ours, theirs = sets.under("b", anchor, 0.0), given.under("b", anchor)
        assert ours is not None
        assert theirs is not None
        assert ours.encoded == theirs.encoded
    assert given.serves(id_of(FIRST))
    given.replace(())
    assert not given.serves(id_of(FIRST))
