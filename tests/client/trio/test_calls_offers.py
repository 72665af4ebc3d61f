"""With what a conversation's calls are made: the same offer, tickets, a token that may be replaced."""

# ruff: noqa: PT012  a conversation under `pytest.raises` is several statements by its nature

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sottovoce.client import CallMisconfigured, TicketStore
from sottovoce.primitives import DEFAULT_SUITES, Secret
from sottovoce.session import Identity, ServerConfig
from tests.client.servers import Box, PureServer
from tests.client.trio.lines import a_line, break_off, drain, read, say_one
from tests.session.dialogue import Credentials


@pytest.mark.protocol("P7.51", "P6.48")
async def test_a_ticket_opens_the_next_call(autojump_clock: MockClock) -> None:
    box = Box()
    async with a_line(lambda: PureServer(echo=True, tickets=box)) as line:
        conversation = line.calls()
        resumed = []
        async for leg in conversation:
            async with leg as call:
                await say_one(call)
                resumed.append(call.statistics.is_resumed)
                if len(resumed) < 4:
                    await drain(line)
                    await read(call)
        assert resumed == [False, True, True, True]
        assert conversation.resumptions == 3
        assert len(set(box.spent)) == len(box.spent) == 3


async def test_tickets_of_its_own_are_erased_with_it_those_of_the_user_stay(autojump_clock: MockClock) -> None:
    with TicketStore() as mine:
        choices: tuple[tuple[dict[str, Any], int], ...] = (({}, 0), ({"tickets": mine}, 1))
        for options, left in choices:
            async with a_line(lambda: PureServer(echo=True, tickets=Box())) as line:
                conversation = line.calls(**options)
                tickets = conversation._conversation._settings.tickets
                assert tickets is not None
                async for leg in conversation:
                    async with leg as call:
                        await say_one(call)
                        assert len(tickets) == 1
                assert len(tickets) == left


@pytest.mark.protocol("P1.19", "P11.11")
async def test_every_call_makes_the_same_offer(autojump_clock: MockClock) -> None:
    offers: list[tuple[object, ...]] = []
    credentials = Credentials(Identity("alice"))
    config = ServerConfig(credential_kinds=(1,))
    async with a_line(lambda: PureServer(echo=True, config=config, credentials=credentials)) as line:
        async for leg in line.calls(token="hunter2", metadata={"a": 1}):
            async with leg as call:
                session = call._link.machine._session
                assert session is not None
                made, carriage = session._config, session._carriage
                offers.append((made.suites, made.anchors, made.credential.kind, carriage.binding_type, made.metadata))
                await say_one(call)
                if len(offers) < 3:
                    await break_off(line)
                    await read(call)
    assert offers[0][0] == DEFAULT_SUITES
    assert offers[0][2:] == (1, 1, b'{"a":1}')
    assert offers == [offers[0]] * 3
    assert [value for _, value, _, _ in credentials.asked] == [b"hunter2"] * 3


async def test_a_token_in_a_file_is_read_for_each_call(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    credentials = Credentials(Identity("alice"))
    config = ServerConfig(credential_kinds=(1,))
    async with a_line(lambda: PureServer(echo=True, config=config, credentials=credentials)) as line:
        async for leg in line.calls(token=path):
            async with leg as call:
                await say_one(call)
                if leg.reason is None:
                    path.write_text("second")
                    await drain(line)
                    await read(call)
        assert [value for _, value, _, _ in credentials.asked] == [b"first", b"second"]
        with pytest.raises(CallMisconfigured, match="No such file"):
            async for leg in line.calls(token=path):
                async with leg as call:
                    path.unlink()
                    await trio.testing.wait_all_tasks_blocked()
                    await drain(line)
                    await read(call)


async def test_a_token_is_kept_as_long_as_it_is_needed_and_then_wiped(autojump_clock: MockClock) -> None:
    credentials = Credentials(Identity("alice"))
    config = ServerConfig(credential_kinds=(1,))
    mine = Secret("mine", b"hunter2")
    for token, is_wiped in (("hunter2", True), (mine, False)):
        async with a_line(lambda: PureServer(echo=True, config=config, credentials=credentials)) as line:
            conversation = line.calls(token=token)
            kept = conversation._conversation._settings.config.credential.token
            assert kept is not None
            async for leg in conversation:
                async with leg as call:
                    await say_one(call)
                    assert not kept.is_wiped
                    if leg.reason is None:
                        await drain(line)
                        await read(call)
            assert kept.is_wiped is is_wiped
    assert "hunter2" not in repr(conversation)
    with pytest.raises(CallMisconfigured, match="no readable certificate"):
        line.calls(token="hunter2", ca=b"nonsense")
