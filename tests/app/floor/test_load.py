"""What several floors carry, added up."""

from sottovoce.admin import CallCounts
from sottovoce.app.floor import BackendSeen, Load, total
from sottovoce.observe import CallCounts as FrameCounts

ONE = Load(
    began_at=10.0,
    calls=CallCounts(2, 3, 9),
    listeners={"listener": 2},
    routes={"bot": CallCounts(2, 3, 9)},
    groups={"X25519MLKEM768": 9},
    backends={"bot": BackendSeen("answering", 20.0)},
    carried=FrameCounts(from_client=100),
    half_open=1,
    tickets={"issued": 9, "used": 0},
    ticket_key_seconds=5.0,
    tasks=12,
)
OTHER = Load(
    began_at=30.0,
    calls=CallCounts(1, 1, 1),
    listeners={"listener": 1},
    routes={"echo": CallCounts(1, 1, 1)},
    groups={"X25519": 1},
    backends={"bot": BackendSeen("down", 40.0, "refused")},
    carried=FrameCounts(from_client=7),
    tickets={"issued": 1, "used": 1},
    tasks=3,
)


def test_two_are_one_that_carries_both() -> None:
    both = total((ONE, OTHER), 5.0)
    assert both.began_at == 5.0
    assert both.calls == CallCounts(3, 3, 10)
    assert both.listeners == {"listener": 3}
    assert both.routes == {"bot": CallCounts(2, 3, 9), "echo": CallCounts(1, 1, 1)}
    assert both.handshakes.hybrid_share == 0.9
    assert both.route("bot", 41.0, is_built_in=False).backend == "down", "what was told last"
    assert both.carried.from_client == 107
    assert both.tickets == {"issued": 10, "used": 1}
    assert both.ticket_key_seconds == 5.0
    assert both.tasks == 15


def test_of_one_that_has_gone_what_it_counted_stays() -> None:
    both = total((ONE.past(), OTHER), 5.0)
    assert both.calls == CallCounts(1, 3, 10)
    assert both.listeners == {"listener": 1}
    assert both.carried.from_client == 107
    assert (both.half_open, both.tasks) == (0, 3)
