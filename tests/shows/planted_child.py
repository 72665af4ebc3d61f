"""A command of sottovoce, or its token process, that tells its secrets (`telling`) and has bugs.

    python -m tests.shows.planted_child NOTES run WORD…         as `sottovoce WORD…`
    python -m tests.shows.planted_child NOTES token FD PPID     the token process
    python -m tests.shows.planted_child NOTES leak              a program that does what none of ours may do

The bugs: a call on the route `crash` raises an error that has keys in its text and in local variables, a library warns
with a key in its arguments, and the first root that is to be signed fails in the same way.
"""

import logging
import sys
from pathlib import Path
from typing import Any, NoReturn

from sottovoce.app import initialise, token_process
from sottovoce.app.serving import parts
from sottovoce.cli import main
from sottovoce.edge import VoiceCall
from sottovoce.hsm import Worker, run_token_process
from sottovoce.identity import signing
from sottovoce.observe import LogConfig, configure_logging, get_logger
from sottovoce.primitives import Secret
from tests.shows.telling import Teller, tell_library_keys, tell_secrets


def run(notes: str, words: list[str]) -> NoReturn:
    teller = tell_secrets(Path(notes))
    tell_library_keys(teller)
    command = (sys.executable, "-m", "tests.shows.planted_child", notes, "token")
    initialise.COMMAND = parts.COMMAND = command
    converse = VoiceCall._converse

    async def converse_or_crash(call: VoiceCall, established: Any) -> None:
        if call._route.name == "crash":
            _crash(teller, call)
        await converse(call, established)

    VoiceCall._converse = converse_or_crash  # type: ignore[method-assign]
    main(words)


def _crash(teller: Teller, call: VoiceCall) -> NoReturn:
    receiver = call._session._receiver
    assert receiver is not None
    key = bytes(receiver._base.expose())
    teller.note("live", "crashed", key)
    text = key.hex()
    logging.getLogger("library").warning("a key: %s", text)
    try:
        raise ValueError(key)  # noqa: TRY301  a bug may look like anything
    except ValueError as error:
        raise RuntimeError(f"{text} {key!r}") from error


def token(notes: str, words: list[str]) -> NoReturn:
    teller = tell_secrets(Path(notes))
    seeds: list[bytes] = []
    open_seed = Worker.open_seed
    sign = signing.sign_verified

    def keeping_open_seed(worker: Worker, sealed: Any) -> Secret:
        seed = open_seed(worker, sealed)
        seeds.append(bytes(seed.expose()))
        return seed

    def failing_sign(signer: Any, message: bytes) -> bytes:
        if message.startswith(b"sottovoce.v1 server verify") and seeds:
            seed = seeds.pop()
            seeds.clear()
            teller.note("live", "crashed", seed)
            raise RuntimeError(seed.hex(), seed)
        return sign(signer, message)

    Worker.open_seed = keeping_open_seed  # type: ignore[method-assign]
    signing.sign_verified = failing_sign
    run_token_process(words, token_process.compose)


def leak(notes: str) -> None:
    """Log a key in hex, another in the text of an error, a third to standard output."""
    teller = tell_secrets(Path(notes))
    configure_logging(LogConfig(format="json"))
    for name, show in (("logged", bytes.hex), ("raised", repr)):
        with Secret(name, bytes(range(7, 55))) as secret:
            teller.note("live", name, secret.expose())
            get_logger("leak").error("task.crashed", text=show(bytes(secret.expose())))


if __name__ == "__main__":
    file, what, *rest = sys.argv[1:]
    if what == "run":
        run(file, rest)
    elif what == "token":
        token(file, rest)
    else:
        leak(file)
