"""How calls end, who hears of it and how, and that nothing is left; opened here and closed there."""

import gc
from pathlib import Path

import pytest

from sottovoce.client import (
    Audio,
    AuthFailed,
    BackendDown,
    CallEnded,
    CallError,
    CallTruncated,
    ConnectFailed,
    Ended,
    Item,
    ServerNotTrusted,
)
from sottovoce.client.errors import InternalFault
from sottovoce.client.machine import CallMachine
from sottovoce.primitives import Secret
from sottovoce.session import Identity, ServerConfig
from sottovoce.wire import Code
from tests.client.conformance.hosts import Host
from tests.client.conformance.scenarios import check_erased, read_all, scenario, take
from tests.client.conformance.words import AnyCall, Driver
from tests.client.servers import FRAME, PureServer, anchors
from tests.session.dialogue import Credentials


async def _open(driver: Driver, host: Host, **options: object) -> None:
    async with driver.connect(host.url, **options):
        pass


@scenario
async def test_a_good_end_is_an_item_and_an_error_for_who_still_sends(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        await driver.blocking(lambda: host.do(lambda server: server.pure.end(1000)))
        items: list[Item] = []
        await read_all(call, items)
        assert items == [Ended(1000, "ended by the other side", truncated=False, local=False)]
        with pytest.raises(CallEnded):
            await call.send(FRAME)
    check_erased(call)


@scenario
async def test_a_failure_is_raised_behind_all_that_came_before_and_to_who_sends(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:

        def end(_: object) -> None:
            host.last.pure.say(b"last")
            host.last.pure.end(Code.BACKEND_DOWN)

        await driver.blocking(lambda: host.do(end))
        items: list[Item] = []
        for _ in range(2):
            with pytest.raises(BackendDown, match="call again later"):
                await read_all(call, items)
        assert items == [Audio(b"last")]
        for say in (call.send(FRAME), call.json({})):
            with pytest.raises(BackendDown):
                await say
    assert call.ended is not None
    assert call.ended.label == "backend_down"


@scenario
async def test_a_connection_that_is_reset_is_a_cut(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        await call.send(b"a")
        await take(call, 1)
        await driver.blocking(host.break_off)
        with pytest.raises(CallTruncated):
            await anext(call)
        with pytest.raises(CallTruncated):
            await call.send(FRAME)
    check_erased(call)


@scenario
async def test_a_connection_that_breaks_under_who_sends(driver: Driver, host: Host) -> None:
    async def send_on_and_on(call: AnyCall) -> None:
        while True:
            await call.send(FRAME)

    async with driver.connect(host.url) as call:
        sending = await driver.spawn(lambda: send_on_and_on(call))
        await driver.sleep(0.05)
        await driver.blocking(host.break_off)
        with pytest.raises(CallTruncated):
            await sending.result()
        with pytest.raises(CallTruncated):
            await read_all(call)


@scenario
async def test_hanging_up_ends_another_tasks_iteration_and_twice_does_no_harm(driver: Driver, host: Host) -> None:
    items: list[Item] = []
    async with driver.connect(host.url) as call:
        readers = [await driver.spawn(lambda: read_all(call, items)) for _ in range(2)]
        await driver.sleep(0.05)
        await call.close()
        await call.close()
        for reader in readers:
            await reader.result()
    await call.close()
    assert items == [call.ended]


@scenario
async def test_a_block_that_is_left_by_an_error_says_going_away(driver: Driver, host: Host) -> None:
    calls: list[AnyCall] = []
    with pytest.raises(ValueError, match="mine"):  # noqa: PT012  the block is what is left
        async with driver.connect(host.url) as call:
            calls.append(call)
            raise ValueError("mine")
    assert calls[0].ended is not None
    assert calls[0].ended.code == 1001
    await driver.blocking(host.until_done)
    assert host.last.pure.ended is not None
    assert host.last.pure.ended.code == 1001


@scenario
async def test_opened_in_one_task_used_in_another_and_closed_in_a_third(driver: Driver, host: Host) -> None:
    connecting = driver.connect(host.url)
    calls: list[AnyCall] = []

    async def open_it() -> None:
        calls.append(await connecting.__aenter__())

    async def use_it() -> None:
        await calls[0].send(b"a")
        assert await take(calls[0], 1) == [Audio(b"a")]

    async def close_it() -> None:
        await connecting.__aexit__(None, None, None)

    for step in (open_it, use_it, close_it):
        await (await driver.spawn(step)).result()
    assert calls[0].ended is not None
    assert calls[0].ended.code == 1000


@scenario
async def test_a_server_that_never_answers_the_closing_is_not_waited_for_long(driver: Driver, host: Host) -> None:
    async with driver.connect(host.url) as call:
        await driver.blocking(host.go_deaf)
        assert await driver.cancelled(0.2, call.close)
    assert call.ended == Ended(1000, "closed by this side", truncated=False, local=True)
    check_erased(call)
    await driver.blocking(host.until_done)


@scenario
async def test_what_cannot_be_reached(driver: Driver, host: Host) -> None:
    for url in ("wss://127.0.0.1:1/echo", "wss://localhost:1/echo"):
        with pytest.raises(
            ConnectFailed, match=rf"cannot reach {url[6:-5]}: Connection refused; check host"
        ) as refusal:
            async with driver.connect(url):
                pass
        assert refusal.value.may_pass


@scenario
async def test_a_name_that_there_is_not(driver: Driver, host: Host) -> None:
    with pytest.raises(ConnectFailed, match=r"cannot reach no-such\.invalid:8443: "):
        async with driver.connect("wss://no-such.invalid:8443/echo"):
            pass


@scenario
async def test_a_server_that_is_not_trusted(driver: Driver, host: Host) -> None:
    with pytest.raises(ServerNotTrusted):
        await _open(driver, host, ca=None)
    with pytest.raises(AuthFailed):
        await _open(driver, host, anchor=anchors("other.example"))
    host.ways = [lambda: PureServer(answer=lambda websocket: websocket.refuse(503, "full")), None]
    for _ in range(2):
        with pytest.raises(ConnectFailed) as failure:
            await _open(driver, host)
        assert type(failure.value) is ConnectFailed


@scenario
async def test_a_credential_that_is_refused(driver: Driver, host: Host) -> None:
    host.ways = [
        lambda: PureServer(config=ServerConfig(credential_kinds=(1,)), credentials=Credentials(Code.AUTH_FAILED))
    ]
    with pytest.raises(AuthFailed, match="refused this client's credential"):
        async with driver.connect(host.url, token="token") as call:
            await anext(call)


@scenario
async def test_a_token_is_wiped_however_it_ends(driver: Driver, host: Host, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("hunter2-hunter2")
    credentials = Credentials(Identity("alice"))
    host.ways = [
        *(
            lambda config=config: PureServer(config=config, credentials=credentials)
            for config in (ServerConfig(credential_kinds=(1,)), ServerConfig(), ServerConfig(credential_kinds=()))
        ),
        None,
    ]
    texts: list[str] = []
    for _ in range(4):
        try:
            async with driver.connect(host.url, token=path) as call:
                texts.append(repr((call, vars(call), vars(call._link), vars(call._link.machine))))
        except CallError as error:
            texts.append(repr(error))
    with pytest.raises(ConnectFailed):
        async with driver.connect("wss://127.0.0.1:1/echo", token=path):
            pass
    made = [each for each in gc.get_objects() if isinstance(each, Secret) and each.name == "bearer token"]
    assert [each for each in made if not each.is_wiped] == []
    assert "hunter2" not in "".join(texts)


@scenario
async def test_a_fault_in_the_client_itself_ends_the_call_and_not_the_program(
    driver: Driver, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driver.connect(host.url) as call:
        await call.send(b"a")
        assert await take(call, 1) == [Audio(b"a")]

        def fails(*_: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(CallMachine, "receive", fails)
            await driver.blocking(lambda: host.do(lambda server: server.pure.say(b"b")))
            await driver.blocking(host.until_done)
        for _ in range(2):
            with pytest.raises(InternalFault, match="a fault in the client itself"):
                await anext(call)
        with pytest.raises(InternalFault):
            await call.send(FRAME)
    check_erased(call)
