import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from sottovoce import client
from sottovoce.client import CallMisconfigured
from sottovoce.client.settings import CallOptions
from sottovoce.session import format_anchor_file
from tests.client.servers import anchors

_SERVERS_LIBRARIES = {"aioquic", "apsw", "nacl", "pkcs11", "rich", "structlog", "trio_websocket"}


_SHELLS = ("client", "client.trio", "client.asyncio", "client.sync")
_LOOPS = {"trio", "asyncio", "uvloop"}

_TRIES = """
import sys
import {loop}
from sottovoce.client import CallError, calls, connect

async def main():
    try:
        async with connect("wss://127.0.0.1:1/echo", anchor={anchor!r}):
            pass
    except CallError as error:
        assert "refused" in str(error), error
    async for leg in calls("wss://127.0.0.1:1/echo", anchor={anchor!r}):
        try:
            async with leg:
                pass
        except CallError as error:
            assert "refused" in str(error), error

{loop}.run({main})
print(*sys.modules)
"""


def _loaded(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _loaded_by(name: str) -> set[str]:
    return _loaded(f"import sys, sottovoce.{name}; print(*sys.modules)")


@pytest.mark.parametrize("name", _SHELLS)
def test_the_base_installation_is_enough(name: str) -> None:
    loaded = _loaded_by(name)
    assert not _SERVERS_LIBRARIES & loaded
    assert {each.split(".")[1] for each in loaded if each.startswith("sottovoce.")} == {
        "client", "primitives", "session", "transport", "wire",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "loops"),
    [("client", set()), ("client.trio", {"trio"}), ("client.asyncio", {"asyncio"}), ("client.sync", set())],
    ids=_SHELLS,
)
def test_it_loads_the_event_loop_that_is_used_and_no_other(name: str, loops: set[str]) -> None:
    assert _loaded_by(name) & _LOOPS == loops


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_connect_and_calls_are_those_of_the_loop_that_runs(loop: str, tmp_path: Path) -> None:
    (tmp_path / "anchor.json").write_bytes(format_anchor_file(anchors()))
    loaded = _loaded(
        _TRIES.format(loop=loop, main="main" if loop == "trio" else "main()", anchor=str(tmp_path / "anchor.json"))
    )
    assert {each for each in ("sottovoce.client.trio", "sottovoce.client.asyncio") if each in loaded} == {
        f"sottovoce.client.{loop}"
    }
    assert ("trio" in loaded) is (loop == "trio")


def test_where_no_loop_runs_it_says_what_to_do() -> None:
    with pytest.raises(CallMisconfigured, match=r"neither Trio nor asyncio runs here; .*sottovoce\.client\.sync"):
        client.connect("wss://localhost/echo", anchor="anchor.json")
    with pytest.raises(CallMisconfigured, match="neither Trio nor asyncio"):
        client.calls("wss://localhost/echo", anchor="anchor.json")


def test_what_it_offers_is_there() -> None:
    for name in client.__all__:
        assert getattr(client, name) is not None
    assert client.connect.__module__ == "sottovoce.client.running"


@pytest.mark.parametrize("shell", ["asyncio", "sync", "trio"])
def test_each_shell_takes_the_same_and_documents_it(shell: str) -> None:
    module = import_module(f"sottovoce.client.{shell}")
    for function in (module.connect, module.calls):
        assert set(inspect.unwrap(function).__kwdefaults__) <= {"clock", "dial", "give_up_after", "sock", "stream"}
        with pytest.raises(TypeError, match="frobnicate"):
            _enter(function("wss://localhost/echo", anchor="anchor.json", frobnicate=1))
    assert client.ConnectOptions.__annotations__.keys() == set(CallOptions.__struct_fields__)
    assert client.ConnectOptions.__doc__ is not None
    assert [name for name in CallOptions.__struct_fields__ if f"`{name}`" not in client.ConnectOptions.__doc__] == []


def _enter(connecting: Any) -> None:
    if hasattr(connecting, "__enter__"):
        connecting.__enter__()
    else:
        connecting.__aenter__().send(None)
