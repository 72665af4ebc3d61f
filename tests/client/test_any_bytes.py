"""However the network cuts the bytes, and wherever they stop: the same call, or an end that says it was cut."""

from collections.abc import Iterable
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.client.errors import CallTruncated, ConnectFailed, EndedWithCode
from sottovoce.client.items import Audio, Ended, Item, Json, Mark
from sottovoce.session import ServerConfig
from tests.client.servers import PureServer, Talk
from tests.transport.ends import Cut, whole


def _pieces(sizes: list[int]) -> Cut:
    """Cut into pieces of these sizes, over and over."""

    def cut(data: bytes) -> Iterable[bytes]:
        start = number = 0
        while start < len(data):
            size = sizes[number % len(sizes)]
            yield data[start : start + size]
            start += size
            number += 1

    return cut


def _conversation(cut: Cut = whole, stops_after: int | None = None) -> Talk:
    """A call with a root step in it, from the first byte to the last that the network carries."""
    config = ServerConfig(epoch_seconds=100, messages_per_key=16)
    talk = Talk(PureServer(echo=True, config=config), cut=cut, stops_after=stops_after).run()
    session = talk.server.session
    for number in range(20):
        talk.machine.send_audio(bytes([number]) * number, 0.0)
    talk.run()
    if session is not None and session.send_mark("a", 0.0) and session.send_json(b"{}", 0.0):
        talk.server.settle()
        talk.run()
        talk.at(90.0)
        talk.machine.send_audio(b"last", 90.0)
        talk.run()
        talk.server.end(1000)
        talk.run()
    return talk


@cache
def _expected() -> list[Item]:
    echoed: list[Item] = [Audio(bytes([number]) * number) for number in range(20)]
    end = Ended(1000, "ended by the other side", truncated=False, local=False)
    return [*echoed, Mark("a"), Json({}), Audio(b"last"), end]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_the_cutting_changes_nothing(sizes: list[int]) -> None:
    talk = _conversation(_pieces(sizes))
    assert talk.machine.items() == _expected()
    assert talk.machine.failure is None
    assert talk.machine.is_over
    assert (talk.machine.statistics.epochs, talk.machine.statistics.generations) == (2, 3)


def test_byte_by_byte_nothing_changes() -> None:
    assert _conversation(_pieces([1])).machine.items() == _expected()


_LENGTH = len(_conversation().from_server)


@settings(max_examples=80)
@given(st.integers(0, _LENGTH - 1))
def test_wherever_the_bytes_stop_what_came_is_right_and_the_end_is_called_a_cut(stops_after: int) -> None:
    machine = _conversation(stops_after=stops_after).machine
    machine.receive_eof(90.0)
    items = machine.items()
    assert machine.ended is not None
    assert items[-1] == machine.ended
    if machine.failure is None:
        assert items == _expected(), "only the closing of the connection was cut off"
        return
    assert isinstance(machine.failure, (ConnectFailed, CallTruncated))
    assert machine.ended.truncated
    assert items[:-1] == _expected()[: len(items) - 1]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_no_message_makes_the_machine_raise_or_take_it_for_audio(
    messages: list[bytes],
    established: bool,  # noqa: FBT001  Hypothesis passes it by name
) -> None:
    talk = Talk(PureServer(signs=established)).run()
    for message in messages:
        if talk.server.websocket.is_open:
            talk.server.websocket.send_binary(message)
    talk.run()
    assert not any(isinstance(item, Audio) for item in talk.machine.items())
    if messages:
        assert isinstance(talk.machine.failure, EndedWithCode)
        assert talk.machine.failure.local
