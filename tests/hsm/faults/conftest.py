"""A token process over a module that goes wrong on command, without the pool around it."""

import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from sottovoce.hsm import STATUS, HsmError, HsmUnavailable, Operation, Start, Status, find_softhsm
from sottovoce.hsm.messages import Answer, Question, Reply, Request, decode_answer, decode_message, encode_frame
from sottovoce.hsm.pool.child import Spawner, TokenChild
from sottovoce.hsm.softhsm import refresh_configuration
from tests.hsm.conftest import PATIENT
from tests.hsm.faults.shim import Board, build_shim

COMMAND = (sys.executable, str(Path(__file__).with_name("child.py")))
ROOT = Path(__file__).parents[3]
ENDED = "the process ended"


class TokenProcess:
    """A token process that is asked directly."""

    def __init__(self, child: TokenChild) -> None:
        self.pid = child.pid
        self._child = child
        self._next_id = 0

    async def ask(self, operation: Operation[Question, Answer], question: Question) -> Answer:
        """Give the answer.  Raises the error that it is, HsmUnavailable(ENDED) when there is none."""
        (answer,) = await self.ask_each(operation, [question])
        if isinstance(answer, HsmError):
            raise answer
        return answer

    async def ask_each(
        self, operation: Operation[Question, Answer], questions: list[Question]
    ) -> list[Answer | HsmError]:
        """Ask all at once, and give the answers as they come."""
        for question in questions:
            self._next_id += 1
            fields = msgspec.Raw(msgspec.msgpack.encode(question))
            await self._child.send(encode_frame(Request(self._next_id, operation.name, fields)))
        return [await self._receive(operation) for _ in questions]

    async def counts(self) -> dict[str, int]:
        """Give what the process has counted."""
        return (await self.ask(STATUS, Status())).counts

    async def _receive(self, operation: Operation[Question, Answer]) -> Answer | HsmError:
        body = await self._child.receive()
        if body is None:
            return HsmUnavailable(ENDED)
        reply = decode_message(body, Reply)
        return reply.failure.to_error() if reply.failure else decode_answer(reply.fields, operation.answer_type)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fault-injecting module."""
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def board(tmp_path: Path) -> Generator[Board]:
    with Board(tmp_path / "board") as board:
        yield board


StartProcess = Callable[..., AbstractAsyncContextManager[TokenProcess]]


@pytest.fixture
def started(directory: Path, shim: Path, board: Board) -> StartProcess:
    """Start a token process for the token of `directory`; no probe is made."""
    config = PATIENT.resolved(directory)
    refresh_configuration(Path(config.softhsm_config))
    environment = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
        "SOFTHSM2_CONF": config.softhsm_config,
        "SHIM_MODULE": find_softhsm(),
        "SHIM_BOARD": str(board.path),
    }

    @asynccontextmanager
    async def started(*, module: str = str(shim), change_keys: bool = False) -> AsyncGenerator[TokenProcess]:
        spawner = Spawner(COMMAND, environment)
        try:
            async with await spawner.spawn() as child:
                start = Start(module, config.token, config.pin_file, create=False, files={}, change_keys=change_keys)
                await child.start(start)
                yield TokenProcess(child)
                child.kill()
        finally:
            spawner.close()

    return started
