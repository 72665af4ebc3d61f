"""Protocol §5, §7, §11: which secrets live when, and that none is left in memory after a switch and after the end.

The first tests ask the garbage collector for every `Secret`.  The last one lets another process run a session and then
reads that process's whole memory from outside; that process notes its secrets under a mask, so that the notes are not
what is found.
"""

import gc
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from sottovoce.primitives import Secret
from sottovoce.session import TicketReceived
from tests.session.dialogue import Box, Pair, client_config, make_client, make_server, talking
from tests.session.meeting import AtClient, AtServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Secrets of earlier tests are gone before one counts."""
    gc.collect()
    for secret in _all():
        secret.wipe()


def _all() -> list[Secret]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Secret)]


def live(*names: str) -> Counter[str]:
    """How many secrets of each name hold something, signing seeds left out."""
    found = Counter(secret.name for secret in _all() if not secret.is_wiped and secret.name != "seed")
    return Counter({name: found[name] for name in names}) if names else found


def _handshake_secrets() -> Counter[str]:
    return live("c hs", "s hs", "derived", "key", "iv", "finished", "hybrid", "root")


@pytest.mark.protocol("P5.17", "P5.18", "P5.19", "P11.41")
def test_after_client_finished_only_base_keys_and_rk_live() -> None:
    """Both ends: two base keys and rk[1] each; the client's res[1], for tickets that may come; and nothing else."""
    pair = Pair()
    pair.signing = False
    for record in pair.client_records():
        pair.to_server(record)
    assert live()["c hs"] == live()["s hs"] == 1, "the control: while the handshake runs they are there"
    pair.sign(pair.wanted[0])
    for record in pair.server_records():
        pair.to_client(record)
    pair.run()
    assert pair.server.is_open
    assert sum(_handshake_secrets().values()) == 0
    assert live() == {"c2s": 2, "s2c": 2, "rekey": 2, "res": 1}


@pytest.mark.protocol("P5.23", "P5.18")
def test_the_servers_handshake_key_is_gone_once_its_flight_is_sealed() -> None:
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    assert live("c hs", "s hs") == {"c hs": 1, "s hs": 1}
    meeting.prove()
    assert live("c hs", "s hs", "key", "iv") == {"c hs": 1, "s hs": 0, "key": 0, "iv": 0}
    assert len(meeting.ours.to_send()) == 2


@pytest.mark.protocol("P5.9", "P5.20", "P7.37")
def test_after_a_step_only_the_new_epochs_secrets_live() -> None:
    pair = talking(epoch_seconds=10)
    for _ in range(4):
        pair.step()
        assert live() == {"c2s": 2, "s2c": 2, "rekey": 2, "res": 1}


@pytest.mark.protocol("P5.20")
def test_rk_is_gone_as_soon_as_the_next_root_was_made() -> None:
    client = AtClient()
    before = [secret for secret in _all() if secret.name == "rekey" and not secret.is_wiped]
    assert len(before) == 1
    client.answer()
    assert before[0].is_wiped
    server = AtServer()
    before = [secret for secret in _all() if secret.name == "rekey" and not secret.is_wiped]
    server.init()
    assert sum(secret.is_wiped for secret in before) == 1


@pytest.mark.protocol("P5.22", "P7.1", "P11.17")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_a_base_key_is_gone_when_it_was_ratcheted(role: type[AtServer] | type[AtClient]) -> None:
    """Of each chain one base key lives, however many generations it has gone through."""
    meeting = AtServer(messages_per_key=16) if role is AtServer else AtClient(server={"t3": b"\0\0\0\x10"})
    first = [secret for secret in _all() if secret.name in {"c2s", "s2c"}]
    for _ in range(40):
        meeting.say(1, b"\0x")
        assert meeting.ours.seal_audio(b"x", 0.0) is not None
    assert all(secret.is_wiped for secret in first)
    assert live() == {"sframe base": 2, "rekey": 1} | ({} if role is AtServer else {"res": 1})


@pytest.mark.protocol("P5.21", "P5.17")
def test_res_is_gone_with_the_base_keys_of_its_epoch() -> None:
    """A client keeps it for the tickets that may still come; between answer and switch both epochs' are there."""
    meeting = AtClient()
    (first,) = [secret for secret in _all() if secret.name == "res"]
    base = [secret for secret in _all() if secret.name == "s2c"]
    meeting.answer()
    assert not first.is_wiped
    assert live("res") == {"res": 2}
    meeting.hear()
    meeting.switch()
    assert first.is_wiped
    assert [secret.is_wiped for secret in base] == [True]
    assert live("res") == {"res": 1}


@pytest.mark.protocol("P5.21", "P7.28")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_res_of_both_epochs_is_wiped_when_a_session_ends_in_a_step(role: type[AtServer] | type[AtClient]) -> None:
    """They are held here, so that it is not the garbage collector that lets them go."""
    meeting = role()
    if isinstance(meeting, AtServer):
        meeting.answered()
    else:
        meeting.answer()
    kept = [secret for secret in _all() if secret.name == "res" and len(secret)]
    assert not all(secret.is_wiped for secret in kept)
    meeting.ours.carriage_ended(None)
    assert all(secret.is_wiped for secret in kept)


@pytest.mark.protocol("P5.21", "P5.17")
@pytest.mark.parametrize("tickets", [Box(), None])
def test_a_server_has_no_res_once_the_epochs_ticket_is_made(tickets: Box | None) -> None:
    meeting = AtServer(tickets=tickets)
    assert live() == {"c2s": 1, "s2c": 1, "rekey": 1}
    meeting.hear()
    meeting.answered()
    assert live("res") == {"res": 1}, "the next epoch's, until both ends are there"
    meeting.switch()
    meeting.say(1, b"\0x")
    assert live() == {"c2s": 1, "s2c": 1, "rekey": 1}


@pytest.mark.protocol("P5.17", "P5.18", "P6.56")
def test_after_a_resumed_handshake_the_psk_is_gone_at_both_ends() -> None:
    box = Box()
    pair = Pair(server=make_server(tickets=box)).run()
    (ticket,) = [event.ticket for event in pair.client_events if isinstance(event, TicketReceived)]
    for end in (pair.client, pair.server):
        end.carriage_ended(None)
    assert live() == {"psk": 1}
    again = Pair(make_client(client_config(ticket=ticket)), make_server(tickets=box))
    for record in again.client_records():
        again.to_server(record)
    assert live("psk", "s hs") == {"psk": 1, "s hs": 0}, "the server has sealed its flight already"
    again.to_client(again.server_records()[0])
    assert live("psk") == {"psk": 0}
    again.client.carriage_ended(None)
    again.server.carriage_ended(None)
    assert live() == {}


@pytest.mark.protocol("P7.28", "P7.37", "P11.41")
@pytest.mark.parametrize("how", ["carriage", "close", "peer", "fault", "expired", "in a step", "in a handshake"])
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_after_any_end_nothing_lives(role: type[AtServer] | type[AtClient], how: str) -> None:
    meeting = role(established=how != "in a handshake")
    if how == "in a handshake":
        meeting.take(meeting.peer.hello())
    assert sum(live().values()) > 0
    match how:
        case "close":
            meeting.ours.close(1000, 0.0)
        case "peer":
            meeting.say(7, b"\x03\xe8")
        case "fault":
            meeting.take(b"\x05")
        case "expired":
            meeting.at(10_000.0)
        case "in a step":
            if isinstance(meeting, AtServer):
                meeting.answered()
            else:
                meeting.answer()
            meeting.ours.carriage_ended(None)
        case _:
            meeting.ours.carriage_ended(None)
    assert live() == {}


@pytest.mark.protocol("P7.28")
@pytest.mark.parametrize("role", [AtServer, AtClient])
def test_a_server_step_that_waits_for_its_signature_is_erased_too(role: type[AtServer] | type[AtClient]) -> None:
    meeting = role()
    meeting.init()
    meeting.ours.carriage_ended(None)
    assert live() == {}


# Memory, seen from outside


def _read(pid: int) -> list[bytes]:
    """Every readable and writable region of a process of ours."""
    regions: list[bytes] = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines():
            span, flags, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if flags.startswith("rw"):
                memory.seek(start)
                try:
                    regions.append(memory.read(end - start))
                except OSError:
                    continue
    return regions


def _found(pid: int, secrets: dict[str, list[bytes]]) -> list[str]:
    """Names of the secrets of which a run of 16 bytes is in the memory of the process."""
    regions = _read(pid)
    return sorted(
        name
        for name, values in secrets.items()
        if any(value[:16] in region or value[-16:] in region for value in values for region in regions)
    )


class _Child:
    """A process that runs a session and stops at each point where its memory is to be read."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.session.memory_child"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def until(self, point: str) -> tuple[list[str], int]:
        """(names found in memory, number of secrets that were looked for) at `point`."""
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stdout.readline().decode().strip() == point
        secrets: dict[str, list[bytes]] = {}
        count = int(self._process.stdout.readline())
        for _ in range(count):
            name, value = self._process.stdout.readline().decode().rsplit(" ", 1)
            secrets.setdefault(name, []).append(bytes(byte ^ 0xA5 for byte in bytes.fromhex(value)))
        found = _found(self._process.pid, secrets)
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return found, count


@pytest.mark.protocol("P11.41", "P7.37", "P5.17")
@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc/PID/mem")
def test_no_secret_of_ours_is_in_memory_after_a_switch_and_after_the_end() -> None:
    with _Child() as child:
        found, count = child.until("established")
        assert found == ["c2s", "psk", "rekey", "res", "s2c"], "the control: secrets that live are found, and no others"
        assert count > 20
        found, count = child.until("switched")
        assert found == []
        assert count > 50
        found, count = child.until("closed")
        assert found == []
        assert count > 60
