"""Security levels: what compares with what, and which number is one of a certificate."""

import pytest

from sottovoce.hsm.vendors import SecurityLevel

PAPER = {
    "FIPS_140_2_LEVEL_1",
    "FIPS_140_2_LEVEL_2",
    "FIPS_140_2_LEVEL_3",
    "FIPS_140_2_LEVEL_4",
    "COMMON_CRITERIA_EAL4",
}
"""HSMSecurityLevel of the design paper."""


def test_the_papers_levels_are_there() -> None:
    assert {level.name for level in SecurityLevel} >= PAPER
    assert all(level.value == level.name.lower() for level in SecurityLevel)


def test_only_fips_140_2_is_historical() -> None:
    assert {level.name for level in SecurityLevel if level.is_historical} == {name for name in PAPER if "FIPS" in name}


def test_fips_levels_compare_by_number_whatever_the_edition() -> None:
    three = [SecurityLevel.FIPS_140_2_LEVEL_3, SecurityLevel.FIPS_140_3_LEVEL_3]
    for level in SecurityLevel:
        for wanted in three:
            assert level.meets(wanted) == (level.fips_level is not None and level.fips_level >= 3), level


def test_levels_of_different_standards_do_not_compare() -> None:
    criteria = SecurityLevel.COMMON_CRITERIA_EAL4
    assert criteria.fips_level is None
    assert [level for level in SecurityLevel if level.meets(criteria)] == [criteria]
    assert not criteria.meets(SecurityLevel.FIPS_140_2_LEVEL_1)


@pytest.mark.parametrize(
    ("level", "right", "wrong"),
    [
        (SecurityLevel.FIPS_140_3_LEVEL_3, ["1", "4700", "12345"], ["", "123456", "#4700", "4700 ", "٤", "CMVP 4700"]),
        (SecurityLevel.FIPS_140_2_LEVEL_1, ["3205"], ["level 1"[5:] + "x"]),
        (
            SecurityLevel.COMMON_CRITERIA_EAL4,
            ["BSI-DSZ-CC-0990-2017", "NSCIB-CC-22-0428888"],
            ["", "-", "a\nb", "a" * 65],
        ),
    ],
)
def test_numbers(level: SecurityLevel, right: list[str], wrong: list[str]) -> None:
    assert all(map(level.takes_number, right))
    assert not any(map(level.takes_number, wrong))
