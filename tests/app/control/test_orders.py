"""Orders and answers as lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.app.control import Order, socket_path
from sottovoce.app.control.orders import OrderInvalid, parse_order, to_line


@given(st.sampled_from(["hold", "release", "seal", "unseal", "look"]), st.text(), st.text())
def test_an_order_is_one_line_and_read_back(do: str, node: str, reason: str) -> None:
    order = Order(do, node, reason)  # type: ignore[arg-type]  # one of them
    line = to_line(order)
    assert line.count(b"\n") == 1
    assert parse_order(line) == order


@given(st.binary())
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(OrderInvalid):
        parse_order(b"\x00" + data)


@pytest.mark.parametrize("line", [b'{"do":"dance"}', b'{"do":"hold","token":"a"}', b"[]", b"\xff", b"[" * 5000])
def test_what_this_version_does_not_know_is_no_order(line: bytes) -> None:
    with pytest.raises(OrderInvalid, match="no order of this version"):
        parse_order(line)


def test_the_socket_lies_beside_the_ready_file() -> None:
    assert socket_path("/srv/voice/run/ready") == Path("/srv/voice/run/ready.control")
