"""What keeps a newer program from taking over."""

import pytest

from sottovoce.app.serving.upgrade import held_address, in_one_line

BEFORE = {"listener": "0.0.0.0:443", "listeners.second": "127.0.0.1:0", "admin": "127.0.0.1:9100"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"listener": "0.0.0.0:444"},
        {"listener": "127.0.0.1:9100", "admin": "127.0.0.1:9101"},
        {"listeners.second": "[::1]:0"},
        {"listeners.third": "0.0.0.0:443", "listener": "0.0.0.0:80"},
    ],
)
def test_an_address_that_is_free_or_taken_over_is_none_that_is_held(changes: dict[str, str]) -> None:
    assert held_address(BEFORE, BEFORE | changes) == ""


@pytest.mark.parametrize("changed", [{"listener": "127.0.0.1:443"}, {"admin": "0.0.0.0:443"}, {"new": "[::]:443"}])
def test_another_address_at_a_port_of_the_old_workers_is_held(changed: dict[str, str]) -> None:
    (name,) = changed
    said = held_address(BEFORE, BEFORE | changed)
    assert said.startswith(f"{name}.address: old workers hold port 443")
    assert "restart" in said


def test_what_a_check_says_is_one_line_that_reads_well() -> None:
    said = "x.toml: no TOML (at the end of a table declaration)\n    write [section] lines\n"
    said += "a.b: bad\r\n    mend it\n\n1 problem\n"
    assert in_one_line(said) == (
        "x.toml: no TOML (at the end of a table declaration); write [section] lines | a.b: bad; mend it | 1 problem"
    )
    assert in_one_line("") == ""
    assert len(in_one_line("a\n" * 1000)) == 400
