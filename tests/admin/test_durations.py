import pytest

from sottovoce.admin import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (3_659, "1 h"),
        (86_280, "23 h 58 min"),
        (86_400, "1 d"),
        (601_200, "6 d 23 h"),
    ],
)
def test_two_units_the_larger_first(seconds: float, text: str) -> None:
    assert duration(seconds) == text
