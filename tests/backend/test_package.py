import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio

from sottovoce import backend
from sottovoce.backend import CannotListen, serve
from sottovoce.backend import asyncio as asyncio_shell
from sottovoce.backend import trio as trio_shell

_SERVERS_LIBRARIES = {"aioquic", "apsw", "nacl", "pkcs11", "rich", "structlog", "trio_websocket"}


def loaded_by(module: str) -> set[str]:
    program = f"import sys, {module}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize(("shell", "others"), [("asyncio", {"trio"}), ("trio", {"asyncio"})])
def test_the_base_installation_is_enough_and_one_event_loop(shell: str, others: set[str]) -> None:
    loaded = loaded_by(f"sottovoce.backend.{shell}")
    assert shell in loaded
    assert not (_SERVERS_LIBRARIES | others) & loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("sottovoce.")}
    assert rooms == {"backend", "primitives", "transport", "wire"}


def test_the_package_itself_loads_none() -> None:
    assert not {"trio", "asyncio"} & loaded_by("sottovoce.backend")


@pytest.mark.parametrize("module", [backend, asyncio_shell, trio_shell])
def test_all_three_offer_the_same(module: object) -> None:
    names = getattr(module, "__all__")  # noqa: B009  a module of three
    assert names == backend.__all__
    for name in names:
        assert name == "serve" or getattr(module, name) is getattr(backend, name)


async def _nobody(call: backend.Call) -> None:
    """Hold no call."""


def test_serve_is_that_of_the_running_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name, module in (("asyncio", asyncio_shell), ("trio", trio_shell)):

        async def shell(*_: object, _name: str = name) -> None:
            taken.append(_name)

        monkeypatch.setattr(module, "serve", shell)
    asyncio.run(serve(_nobody, "127.0.0.1", 0))
    trio.run(serve, _nobody, "127.0.0.1", 0)
    assert taken == ["asyncio", "trio"]


@pytest.mark.parametrize("shell", ["asyncio", "trio"])
def test_an_address_that_cannot_be_had_is_one_line_with_the_remedy(shell: str) -> None:
    async def try_to() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            said = f"127.0.0.1:{port} cannot be listened on (address already in use): free it, or choose another"
            with pytest.raises(CannotListen, match=re.escape(said)):
                await serve(_nobody, "127.0.0.1", port)
        with pytest.raises(CannotListen, match="cannot assign requested address"):
            await serve(_nobody, "192.0.2.1", 9000)

    run_on(shell, try_to)


@pytest.mark.parametrize("shell", ["asyncio", "trio"])
def test_a_callback_that_fails_leaves_no_socket(shell: str) -> None:
    async def try_to() -> None:
        def fail(_: str) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await serve(_nobody, "127.0.0.1", 0, ready=fail)

    run_on(shell, try_to)


def run_on(shell: str, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if shell == "trio":
        trio.run(function)
    else:
        asyncio.run(function())
