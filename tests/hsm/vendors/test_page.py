"""docs/hsm-vendors.md says what the code says."""

import pytest

from sottovoce.hsm.vendors import PROFILES, PinPlace
from tests.hsm.vendors.page import PAGE, page


def test_the_page_is_what_the_rows_say() -> None:
    text = PAGE.read_text()
    assert text == page(text), "run: python -m tests.hsm.vendors.page"
    assert all(f"### {vendor}\n" in text for vendor in PROFILES)


@pytest.mark.parametrize("place", PinPlace)
def test_it_tells_of_each_place_of_a_pin(place: PinPlace) -> None:
    assert f"| `{place}:" in PAGE.read_text()
