"""A directory's tokens, and opening them beside a proxy that may run: each in a process of the command's own.

Each opening is one login with the PIN, as a start of the proxy is.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from sottovoce.app.hsm.token_child import COMMAND
from sottovoce.app.places import TokenPlaces, token_places
from sottovoce.hsm import Cluster, HsmConfig, open_pool
from sottovoce.primitives import SottovoceError, one_line
from sottovoce.settings import Configuration, find_file, load

DEADLINE_SECONDS: Final = 90.0
"""For whatever a command asks of a token: a person waits, and the machine may be busy."""
_PATIENT_SECONDS: Final = 60.0


class TokensRefused(SottovoceError):
    """Tokens or their keys are not as a command needs them; the text says what is to be done."""


class Tokens(NamedTuple):
    """A directory, and the tokens that its configuration names."""

    base: Path
    file: Path
    configuration: Configuration
    places: dict[str, TokenPlaces]

    def named(self, name: str) -> TokenPlaces:
        """Give the token of that name.  Raises TokensRefused."""
        if name not in self.places:
            text = f"there is no token {one_line(name)} in {self.file}: give one of {', '.join(self.places)}"
            raise TokensRefused(text)
        return self.places[name]


def tokens_of(directory: Path) -> Tokens:
    """Find them.  Raises ConfigurationInvalid."""
    file = find_file(directory).absolute()
    configuration = load(file)
    return Tokens(file.parent, file, configuration, {each.name: each for each in token_places(configuration.hsm)})


def patient(config: HsmConfig) -> HsmConfig:
    """Give the same with time for a machine that is busy."""
    return msgspec.structs.replace(config, start_seconds=_PATIENT_SECONDS, deadline_seconds=_PATIENT_SECONDS)


@asynccontextmanager
async def opened(
    tokens: Tokens, names: Iterable[str], *, change_keys: bool = False, config: HsmConfig | None = None
) -> AsyncGenerator[Cluster]:
    """Open these of the directory's tokens as a pool, which begins when one is up.  Raises HsmError where none is.

    `config` replaces what is said of the pool; the quorum stays that of all tokens.
    """

    def ignore(*_: object) -> None:
        """A process that is lost fails the call, or the call is made again."""

    whole = config or patient(tokens.configuration.hsm)
    wanted = list(names)
    some = whole.alone(wanted[0]) if len(wanted) == 1 else _some_of(whole, wanted)
    async with open_pool(
        some,
        command=COMMAND,
        files=lambda name: tokens.places[name].files(tokens.base),
        report=ignore,
        change_keys=change_keys,
    ) as pool:
        yield pool


def _some_of(config: HsmConfig, names: list[str]) -> HsmConfig:
    nodes = {name: node for name, node in config.nodes.items() if name in names}
    return msgspec.structs.replace(config, nodes=nodes, quorum=min(config.needed, len(nodes)), template="none")
