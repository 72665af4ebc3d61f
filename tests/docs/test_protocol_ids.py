"""Each statement of docs/protocol.md has a test that names it, and no test names a statement that is not there."""

from pathlib import Path

from tests.docs.protocol_ids import claims_in, claims_under, defined_ids, uncovered_ids

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def _in_order(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: tuple(int(part) for part in name[1:].split(".")))


def test_an_id_is_defined_once() -> None:
    assert [name for name, count in defined_ids(_TEXT).items() if count > 1] == []


def test_ids_of_a_section_stand_under_its_number() -> None:
    for section in _TEXT.split("\n## ")[1:]:
        number = section.partition(".")[0]
        assert {name.partition(".")[0] for name in defined_ids(section)} <= {f"P{number}"}


def test_what_is_not_covered_is_defined() -> None:
    assert _in_order(uncovered_ids(_TEXT) - set(defined_ids(_TEXT))) == []


def test_a_marker_names_known_ids_only() -> None:
    known = set(defined_ids(_TEXT))
    unknown = {name: places for name, places in claims_under(_ROOT / "tests").items() if name not in known}
    assert unknown == {}


def test_every_covered_id_has_a_test() -> None:
    wanted = set(defined_ids(_TEXT)) - uncovered_ids(_TEXT)
    missing = _in_order(wanted - set(claims_under(_ROOT / "tests")))
    assert not missing, f"{len(missing)} ids without a test: {chr(32).join(missing)}"


def test_an_id_with_a_test_is_not_said_to_be_uncovered() -> None:
    assert _in_order(uncovered_ids(_TEXT) & set(claims_under(_ROOT / "tests"))) == []


def test_the_reader_sees_decorators_and_parameters_and_what_is_no_literal() -> None:
    marker = "pytest.mark.proto" + "col"
    source = (
        f"@{marker}('P1.1', 'P1.2')\n"
        f"@pytest.mark.parametrize('x', [pytest.param(1, marks={marker}('P1.3'))])\n"
        f"@{marker}(SOME_NAME)\n"
        "def test_it(x): ...\n"
    )
    assert sorted(claims_in(source)) == [(1, "P1.1"), (1, "P1.2"), (2, "P1.3"), (3, "SOME_NAME")]
