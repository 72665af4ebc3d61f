"""Datagrams as the text has them (docs/protocol.md §5 and §7), in Go and here: the same keys, the same fates.

The peer of Go has no carrier for datagrams, so there is no call: it seals records by where they stand in their chains
and says what becomes of each, and ours has to come to the same.
"""

import json
import random
import subprocess
from typing import Any

import pytest

from sottovoce.primitives import Secret, Suite
from sottovoce.session.carriers.lossy import LossyChain
from sottovoce.session.handshake.schedule import epoch_secrets

pytestmark = pytest.mark.interop(tool="go")

PER_KEY = 16
SPOILT = ("tag", "tag", "short", "first byte")
SCENARIOS, RECORDS = 40, 80


def answers(peer: str, *cases: dict[str, Any]) -> list[str]:
    lines = "\n".join(map(json.dumps, cases))
    return subprocess.run(
        [peer, "vectors"], input=lines, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_the_secrets_of_an_epoch(peer: str) -> None:
    chance = random.Random(9)  # noqa: S311  values for both to start from
    for _ in range(4):
        root, context = chance.randbytes(48), chance.randbytes(48)
        [said] = answers(peer, {"what": "epoch", "key": root.hex(), "context": context.hex()})
        made = epoch_secrets(Secret("root", root), context, has_datagrams=True)
        ours = (
            made.client_to_server,
            made.server_to_client,
            made.control_client_to_server,
            made.control_server_to_client,
            made.rekey,
            made.resumption,
        )
        assert b"".join(secret.expose() for secret in ours).hex() == said


def steps(chance: random.Random) -> list[dict[str, Any]]:
    """A sender that goes on, loses much, sends late and twice, changes its epoch once; and somebody in between."""
    epoch, generation, now, sent = 1, 0, 0, [(1, 0, 0)]
    found: list[dict[str, Any]] = []
    install_at = chance.randrange(RECORDS)
    for number in range(RECORDS):
        now += chance.choice((1, 20, 300, 900))
        step: dict[str, Any] = {"milliseconds": now}
        if number == install_at:
            step["install"] = 2
        if number >= install_at and epoch == 1 and chance.random() < 0.1:
            epoch, generation = 2, chance.choice((0, 0, 1, 5, 14, 15))
        elif chance.random() < 0.2:
            generation += chance.choice((1, 1, 1, 2, 3, 13, 14, 15, 16))
        where = (epoch, generation, chance.randrange(PER_KEY))
        match chance.randrange(10):
            case 0 | 1:
                where = chance.choice(sent)
            case 2:
                where = (epoch, max(0, generation - 1), chance.randrange(PER_KEY))
            case 3:
                where = (chance.choice((0, 1, 2, 3, 99)), chance.randrange(8, 16), chance.randrange(PER_KEY + 3))
            case _:
                sent.append(where)
        step |= dict(zip(("epoch", "generation", "counter"), where, strict=True))
        if chance.random() < 0.1:
            step["spoilt"] = chance.choice(SPOILT)
        found.append(step)
    return found


@pytest.mark.parametrize("suite", [Suite.X25519MLKEM768_AES256GCM, Suite.X25519MLKEM768_CHACHA20POLY1305])
def test_what_becomes_of_datagrams(peer: str, suite: Suite) -> None:
    chance = random.Random(suite)  # noqa: S311  a scenario that fails has to come again
    bases = [chance.randbytes(64) for _ in range(3)]
    common = {"what": "window", "suite": int(suite), "limit": PER_KEY, "bases": [base.hex() for base in bases]}
    cases = [{**common, "steps": steps(chance)} for _ in range(SCENARIOS)]
    fates: set[str] = set()
    for case, line in zip(cases, answers(peer, *cases), strict=True):
        said = json.loads(line)
        chain = LossyChain(Secret("epoch 1", bases[1]), 1, suite, PER_KEY)
        for step, record, fate in zip(case["steps"], said["Records"], said["Fates"], strict=True):
            if step.get("install"):
                chain.prepare(Secret("epoch 2", bases[2]))
            before = chain.failures
            plaintext = chain.open(bytes.fromhex(record), step["milliseconds"] / 1000)
            ours = "opened" if plaintext is not None else "failed" if chain.failures > before else "dropped"
            assert ours == fate, (step, case["steps"])
            fates.add(fate)
        chain.wipe()
    assert fates == {"opened", "failed", "dropped"}
