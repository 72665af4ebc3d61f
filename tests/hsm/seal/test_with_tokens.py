"""Three real tokens whose PINs are sealed: served while it is unsealed, also by a process that replaces another."""

import os
import signal
from pathlib import Path

import msgspec
import pytest

from sottovoce.hsm import HsmError, HsmUnavailable, TokenDown, open_pool
from sottovoce.hsm.seal import SealConfig, SealKeeper, SealStore, erase_pin_file, new_seal, open_seal
from sottovoce.primitives import Secret
from tests.hsm.conftest import COMMAND, THREE, PoolEvents, pid_of
from tests.hsm.seal.made import Made, SystemEntropy, as_text, typed
from tests.hsm.token_child import SIGN, Sign


@pytest.fixture
def seal(three: Path) -> Made:
    """The PINs of three tokens, sealed; their files are gone."""
    files = {name: Path(node.pin_file) for name, node in THREE.resolved(three).all_nodes.items()}
    made = as_text(
        new_seal({n: Secret("PIN", file.read_bytes().strip()) for n, file in files.items()}, 2, 3, SystemEntropy())
    )
    SealStore(three / "seal.json", three / "state.json").create_record(made.record)
    for file in files.values():
        erase_pin_file(file)
    return made


async def unseal(keeper: SealKeeper, seal: Made) -> None:
    for text in seal.texts[1:]:
        await keeper.offer(typed(text))


async def test_tokens_serve_while_it_is_unsealed_and_no_longer(
    three: Path, seal: Made, pool_events: PoolEvents
) -> None:
    store = SealStore(three / "seal.json", three / "state.json")
    async with open_seal(store, SealConfig(), wall=lambda: 0.0, report=lambda _: None) as keeper:
        config = THREE.resolved(three)
        lent = {
            name: msgspec.structs.replace(node, pin_source=keeper.places[name].source)
            for name, node in config.all_nodes.items()
        }
        config = msgspec.structs.replace(config, nodes=lent, quorum=0)
        with pytest.raises(HsmError, match="empty or too long"):
            async with open_pool(config, command=COMMAND, files=lambda _: {}, report=lambda *_: None):
                pass
        await unseal(keeper, seal)
        async with open_pool(config, command=COMMAND, files=lambda _: {}, report=pool_events.take) as pool:
            for name in lent:
                await pool_events.ups(name, 1)
            os.kill(pid_of(pool_events.of("a")), signal.SIGKILL)
            await pool_events.ups("a", 2)
            await pool.call(SIGN, Sign("calls go on"), deadline_seconds=60)

            keeper.seal("a drill")
            for name in lent:  # which is the pool's, once it follows the seal
                os.kill(pid_of(pool_events.of(name)), signal.SIGKILL)
                await pool_events.until(name, TokenDown, 2 + (name == "a"))
                down = [event for event in pool_events.of(name) if isinstance(event, TokenDown)]
                assert "empty or too long" in down[-1].reason
            with pytest.raises(HsmUnavailable):
                await pool.call(SIGN, Sign("nobody is there"), deadline_seconds=0.5)

            await unseal(keeper, seal)
            await pool.call(SIGN, Sign("calls go on again"), deadline_seconds=60)
