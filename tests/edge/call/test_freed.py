"""What a call leaves behind for the garbage collector, whose full collections are rare: nothing of its own."""

import gc
from collections.abc import Iterator

import pytest
import trio

from tests.edge.call.test_neighbours import LONG_SECONDS, Street, reset, send_a_bad_record, talk

OURS = ("sottovoce.edge", "sottovoce.session.server", "sottovoce.relay.link", "sottovoce.transport.lines")


@pytest.fixture
def garbage() -> Iterator[list[object]]:
    """What is found to be garbage, which nobody but the collector would free."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def one_of_each(street: Street) -> None:
    await talk(street, 1, {})
    await send_a_bad_record(street)
    await reset(street)
    for over in street.served:
        await over.wait()


async def test_an_ended_call_is_freed_at_once(garbage: list[object]) -> None:
    with trio.fail_after(LONG_SECONDS):
        async with trio.open_nursery() as nursery:
            street = Street(nursery)
            await street.open()
            await one_of_each(street)
            await trio.sleep(0.1)
            street.proxy.calls.clear()
            gc.collect()
            ours = sorted({f"{type(each).__module__}.{type(each).__qualname__}" for each in garbage})
            nursery.cancel_scope.cancel()
    assert [name for name in ours if name.startswith(OURS)] == []
