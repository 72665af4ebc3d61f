"""No object of ours shows a secret that it holds: in its repr, in an error, or in what pytest prints of a failed test.

A call runs in memory, with a real client at one end and the edge at the other.  Everything that can be reached from
either end is shown and searched; and beside `Secret` no object may hold a key as plain bytes or text.
"""

import gc
import hashlib
import re
import subprocess
import sys
import time
import types
from collections.abc import Iterable
from pathlib import Path

import msgspec
import trio
from rich.pretty import pretty_repr

from sottovoce.client.settings import CallOptions
from sottovoce.client.trio import connect
from sottovoce.identity import ClientsConfig, read_clients
from sottovoce.primitives import Secret
from sottovoce.transport import SystemEntropy
from tests.edge.proxy import AUTHORITY, Proxy, TrioClock
from tests.running import environment
from tests.session.keys import anchor_keys, anchor_of
from tests.shows.needles import leaks
from tests.shows.telling import notes
from tests.transport.certificates import authority

ROOT = Path(__file__).parents[2]
SHORTEST_BYTES = 16
TOKEN = "a-token-of-this-test-and-of-no-other"


def reachable(roots: Iterable[object]) -> list[object]:
    """Everything that can be reached, closures and suspended functions included, classes and modules left out."""
    seen: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, types.FunctionType):
            waiting += [cell.cell_contents for cell in thing.__closure__ or ()]
        elif not isinstance(thing, Secret):
            waiting += gc.get_referents(thing)
    return list(seen.values())


def proxy_that_knows_the_token(place: Path) -> Proxy:
    """With the real judge of tokens: the tests' own remembers what it was shown."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    file = place / "clients.toml"
    file.write_text(f'[[client]]\nname = "caller"\ntoken_sha256 = "{digest}"\naudience = ["{AUTHORITY}"]\n')
    judge = read_clients(ClientsConfig(file=str(file), require_credential=True), time.time, SystemEntropy())
    proxy = Proxy()
    parts = msgspec.structs.replace(proxy.services.parts, credentials=judge)
    proxy.services = msgspec.structs.replace(proxy.services, credential_kinds=judge.kinds, parts=parts)
    return proxy


async def test_no_object_of_a_call_shows_a_secret(tmp_path: Path) -> None:
    proxy = proxy_that_knows_the_token(tmp_path)
    anchor = (anchor_of(anchor_keys(), ("localhost",)),)
    token = Secret("token", TOKEN.encode())
    url = f"wss://{AUTHORITY}/echo"
    async with trio.open_nursery() as nursery:
        stream = proxy.connect(nursery)
        connection = connect(url, anchor=anchor, ca=authority().pem, token=token, stream=stream, clock=TrioClock())
        async with connection as call:
            await call.send(bytes(640))
            async for _ in call:
                break
            things = reachable([call, proxy, connection])
            held = [thing for thing in things if isinstance(thing, Secret) and not thing.is_wiped]
            of_tls = ["TLS traffic secret"] * 2  # of the server, whose records are its own
            of_call = [*_twice("c2s", "rekey", "s2c"), "res", "token"]
            assert sorted(secret.name for secret in held) == sorted([*of_call, *of_tls])
            _search(things, [(secret.name, bytes(secret.expose())) for secret in held])
        nursery.cancel_scope.cancel()


def _twice(*names: str) -> list[str]:
    """At either end."""
    return [name for name in names for _ in range(2)]


def _search(things: list[object], secrets: list[tuple[str, bytes]]) -> None:
    ours = {thing for thing in map(_Shown, things) if thing.is_ours}
    assert {one.name for one in ours} >= {"VoiceCall", "ServerSession", "ClientSession", "CallMachine", "TlsStream"}
    assert [one.name for one in ours if leaks(one.text, secrets)] == []
    plain = [thing for thing in things if isinstance(thing, bytes | bytearray | str)]
    assert len(plain) > 100
    assert leaks(b"\n".join(each.encode() if isinstance(each, str) else each for each in plain), secrets) == []


class _Shown:
    """A thing as anybody shows it: with repr, with str, with `rich`."""

    def __init__(self, thing: object) -> None:
        self.name = type(thing).__name__
        self.is_ours = str(type(thing).__module__).startswith("sottovoce")
        self.text = f"{thing!r} {thing} {pretty_repr(thing)}".encode() if self.is_ours else b""


def test_what_a_user_gives_to_connect_is_not_shown() -> None:
    options = CallOptions(anchor=b"", token=TOKEN)
    assert TOKEN not in f"{options!r} {options} {pretty_repr(options)} {pretty_repr([options])}"


def test_what_pytest_prints_of_failed_tests(tmp_path: Path) -> None:
    """A pytest of its own runs `failing.py`.  One key is in a plain local variable there: that is the control."""
    file = tmp_path / "notes"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-vv", "--showlocals", "-p", "no:cacheprovider", "tests/shows/failing.py"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment(SOTTOVOCE_NOTES=str(file)),
    )
    assert b" 10 failed in " in done.stdout, done.stdout[-2000:].decode()
    assert not re.findall(rb"^E +(?:Attribute|Name|Type)Error.*", done.stdout, re.MULTILINE), (
        "each fails of its own fault"
    )
    told = [(name, value) for name, value in notes(file.read_text()) if len(value) >= SHORTEST_BYTES]
    assert {name for name, _ in told} >= {"c2s", "s2c", "rekey", "ML-KEM", "bytes", "token", "PIN", "leaked"}
    assert leaks(done.stdout + done.stderr, told) == ["leaked"]
