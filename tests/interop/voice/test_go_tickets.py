"""Tickets between our side and the peer of Go: taken, spent, and offered where or how they may not be.

Go's client keeps its tickets in a file.  A test changes what stands there, and the client believes it: so it offers a
ticket on another route, or one that has been tampered with.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from sottovoce.client import Suite, TicketStore
from tests.identity.clients.jwts import issue
from tests.interop.voice.peers import TOKEN, Callee, Callers, GoServer, echoed, go_server, until

pytestmark = pytest.mark.interop(tool="go")

QUICK = ("-frames", "2", "-pace", "5ms", "-await-tickets", "1")
FRAMES = [bytes([number]) * 640 for number in range(3)]
Stored = list[dict[str, Any]]


class Wallet(msgspec.Struct, frozen=True):
    """Go's client with its file of tickets, and whom it calls."""

    peer: str
    proxy: Callee
    file: Path

    async def call(self, *options: str, **more: Any) -> Any:
        return await self.proxy.call(self.peer, *QUICK, "-tickets", str(self.file), *options, **more)

    async def resumes(self, *options: str, **more: Any) -> bool:
        """Call with a ticket; it goes well, and this is whether by the ticket."""
        said = await self.call(*options, **more)
        assert (said["code"], said["by"], said["offered"]) == (1000, "self", True), said
        return said["resumed"]

    async def refused(self, code: int, *options: str) -> None:
        said = await self.call(*options)
        assert (said["code"], said["by"], said["offered"]) == (code, "carriage", True), said
        assert self.proxy.running.events("session.refused")[-1]["code"] == code

    def read(self) -> Stored:
        return msgspec.json.decode(self.file.read_bytes())

    def change(self, **values: Any) -> None:
        self.file.write_bytes(msgspec.json.encode([one | values for one in self.read()]))

    def change_ticket(self, change: Callable[[bytes], bytes]) -> None:
        [stored] = self.read()
        self.change(Ticket=b64encode(change(b64decode(stored["Ticket"]))).decode())


@pytest.fixture
async def wallet(peer: str, proxy: Callee, tmp_path: Path) -> Wallet:
    """Give one with a ticket in it, from a call without a credential."""
    wallet = Wallet(peer, proxy, tmp_path / "tickets.json")
    said = await wallet.call()
    assert (said["code"], said["offered"], said["resumed"], said["tickets"]) == (1000, False, False, 1), said
    return wallet


async def test_go_resumes_again_and_again(wallet: Wallet) -> None:
    for _ in range(3):
        assert await wallet.resumes()


async def test_go_resumes_behind_each_credential(wallet: Wallet, callers: Callers, tmp_path: Path) -> None:
    certificate, key = callers.certificate
    token = tmp_path / "token"
    token.write_text(TOKEN)
    shown = {
        "go": ("-token-file", str(token)),
        "mldsa65": ("-key", callers.key("mldsa65")),
        "kiosk.example": ("-cert", certificate, "-cert-key", key),
    }
    for name, options in shown.items():
        wallet.file.unlink()
        await wallet.call(*options)
        assert await wallet.resumes(*options)
        assert wallet.proxy.running.events("session.established")[-1]["identity"] == name


async def test_a_ticket_behind_a_certificate_is_good_beside_it_alone(wallet: Wallet, callers: Callers) -> None:
    certificate, key = callers.certificate
    nothing = wallet.read()[0]["Shown"]
    wallet.file.unlink()
    await wallet.call("-cert", certificate, "-cert-key", key)
    wallet.change(Shown=nothing)
    assert not await wallet.resumes()
    assert wallet.proxy.running.events("session.established")[-1]["identity"] is None


async def test_go_resumes_with_the_keys_of_each_epoch(peer: str, proxy: Callee, tmp_path: Path) -> None:
    """Each ticket stands for res[e] of the epoch whose record brought it; in what is resumed, steps go on."""

    async def calls(suite: str) -> None:
        wallet = Wallet(peer, proxy, tmp_path / suite)
        options = ("-suites", suite, "-epochs", "2", "-await-tickets", "2")
        said = await wallet.call(*options)
        assert (said["code"], said["epochs"], said["verified"]) == (1000, 2, 1), said
        first, second = wallet.read()
        assert (first["Epoch"], second["Epoch"]) == (1, 2)
        wallet.file.write_bytes(msgspec.json.encode([first]))
        assert await wallet.resumes("-suites", suite)
        wallet.file.write_bytes(msgspec.json.encode([second]))
        said = await wallet.call(*options)
        assert (said["resumed"], said["code"], said["epochs"], said["verified"]) == (True, 1000, 2, 1), said

    async with trio.open_nursery() as nursery:
        for suite in ("1", "2", "101"):
            nursery.start_soon(calls, suite)


async def test_go_resumes_after_hello_retry(wallet: Wallet) -> None:
    assert await wallet.resumes("-no-shares")
    for fault in ("second ticket differs", "second ticket missing"):
        await wallet.refused(4400, "-no-shares", "-fault", fault)
    assert await wallet.resumes()  # none of those has used it up


async def test_a_ticket_is_good_once(wallet: Wallet, tmp_path: Path) -> None:
    before = wallet.file.read_bytes()
    assert await wallet.resumes()
    wallet.file.write_bytes(before)
    assert not await wallet.resumes()
    both = await wallet.call("-together", "6")
    assert [one["code"] for one in both] == [1000] * 6
    assert [one["resumed"] for one in both].count(True) == 1


async def test_a_ticket_is_good_where_it_came_from_alone(wallet: Wallet) -> None:
    """And as it is ignored elsewhere, not used up."""
    path, authority = wallet.read()[0]["Path"], wallet.read()[0]["Authority"]
    port = authority.rpartition(":")[2]
    kept = wallet.file.read_bytes()
    for route in ("other", "echo?", "echo?a=b"):
        wallet.change(Path=f"/v1/voice/{route}")
        assert not await wallet.resumes(route=route)
        wallet.file.write_bytes(kept)
    for host in ("localhost", f"127.0.0.1:{port}"):
        wallet.change(Authority=host)
        assert not await wallet.resumes("-authority", host)
        wallet.file.write_bytes(kept)
    for suite, number in (("2", 2), ("101", 0x0101)):
        wallet.change(Suite=number)
        assert not await wallet.resumes("-suites", suite)
        wallet.file.write_bytes(kept)
    assert await wallet.resumes("-authority", f"LocalHost:{port}", "-suites", "1,101")
    assert path == "/v1/voice/echo"


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "first bit": lambda ticket: bytes([ticket[0] ^ 0x80]) + ticket[1:],
    "a bit": lambda ticket: ticket[:60] + bytes([ticket[60] ^ 1]) + ticket[61:],
    "last bit": lambda ticket: ticket[:-1] + bytes([ticket[-1] ^ 1]),
    "shorter": lambda ticket: ticket[:-1],
    "much shorter": lambda ticket: ticket[:10],
    "one byte": lambda ticket: ticket[:1],
    "longer": lambda ticket: ticket + b"\0",
    "1 024 bytes": lambda ticket: ticket.ljust(1024, b"\0"),
}


async def test_a_ticket_that_was_changed_is_ignored(wallet: Wallet) -> None:
    kept = wallet.file.read_bytes()
    for name, change in CHANGES.items():
        wallet.change_ticket(change)
        assert not await wallet.resumes(), name
        wallet.file.write_bytes(kept)
    wallet.change_ticket(lambda ticket: ticket.ljust(1025, b"\0"))
    await wallet.refused(4400)


async def test_go_does_wrong_with_a_ticket(wallet: Wallet) -> None:
    """It is gone with the ServerHello that has accepted it, whatever comes of that."""
    faults = {"psk": 4401, "token with ticket": 4401, "none with a value": 4400, "verify unasked": 4400}
    for fault, code in faults.items():
        kept = wallet.file.read_bytes()
        await wallet.refused(code, "-fault", fault)
        wallet.file.write_bytes(kept)
        assert not await wallet.resumes()  # which brings a new one


async def test_a_ticket_is_good_for_its_binding_and_while_its_client_is(
    peer: str, unbound: Callee, callers: Callers, tmp_path: Path
) -> None:
    """On a proxy that takes calls without a binding, too."""
    wallet = Wallet(peer, unbound, tmp_path / "tickets.json")
    await wallet.call()
    kept, nothing = wallet.file.read_bytes(), wallet.read()[0]["Shown"]
    wallet.change(Binding=0)
    assert not await wallet.resumes("-unbound")
    wallet.file.write_bytes(kept)
    assert await wallet.resumes()
    certificate, key = callers.certificate
    wallet.file.unlink()
    said = await wallet.call("-unbound", "-cert", certificate, "-cert-key", key)
    assert (said["code"], said["by"]) == (4401, "carriage"), said
    jwt = tmp_path / "jwt"
    end = int(time.time()) + 60
    jwt.write_bytes(issue({"sub": "jwt", "aud": f"localhost:{unbound.running.port}", "exp": end}))
    await wallet.call("-token-file", str(jwt))
    assert datetime.fromisoformat(wallet.read()[0]["Expires"]).timestamp() <= end + 1  # it counts from its arrival
    wallet.file.unlink()
    withdrawn = callers.key("ed25519")
    await wallet.call("-key", withdrawn)
    wallet.change(Shown=nothing)
    (unbound.directory / "clients.toml").write_text("")
    await until(lambda: bool(unbound.running.events("clients.loaded")))
    assert not await wallet.resumes()


async def call_twice(server: GoServer, route: str = "echo", **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have us take a ticket, and call again; give what Go saw."""
    with TicketStore() as tickets:
        said: list[dict[str, Any]] = []
        for _ in range(2):
            async with server.calling(route, tickets=tickets, **options) as call:
                assert await echoed(call, FRAMES, 0.01) == FRAMES
            said.append(await server.line())
            assert (said[-1]["code"], call.statistics.is_resumed) == (1000, said[-1]["resumed"])
    return said[0], said[1]


HYBRID = ("-pq", "65", "-anchor-pq", "87", "-tickets", "1")


async def test_we_resume_at_go_behind_each_credential(peer: str, callers: Callers, tmp_path: Path) -> None:
    certificate, key = callers.certificate
    token = tmp_path / "token"
    token.write_text(TOKEN)
    shown: list[dict[str, Any]] = [
        {"token": token},
        {"key": callers.key("ed25519")},
        {"certificate": certificate, "certificate_key": key},
    ]
    known = ("-token", TOKEN, "-client-keys", callers.encoded, "-client-ca", str(callers.ca))
    async with go_server(peer, tmp_path, *HYBRID, *known) as server:
        with TicketStore() as tickets:  # one for all, and nobody takes another's
            for is_resumed in (False, True):
                for options in shown:
                    async with server.calling(tickets=tickets, **options) as call:
                        assert await echoed(call, FRAMES, 0.01) == FRAMES
                    said = await server.line()
                    assert (said["code"], said["offered"], said["resumed"]) == (1000, is_resumed, is_resumed)


async def test_we_resume_at_go_under_every_suite_and_after_a_retry(peer: str, tmp_path: Path) -> None:
    suites = (Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM)
    async with go_server(peer, tmp_path, *HYBRID, "-suites", "101,2") as server:
        for offer in (suites, suites[1:], (Suite.X25519MLKEM768_CHACHA20POLY1305,)):
            first, second = await call_twice(server, suites=offer)
            assert (second["resumed"], second["suite"]) == (True, first["suite"])
            assert (first["retried"], second["retried"]) == (offer == suites, offer == suites)


async def test_we_offer_no_ticket_where_it_did_not_come_from(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path, *HYBRID) as server:
        with TicketStore() as tickets:
            for route in ("echo", "other", "echo?a"):
                async with server.calling(route, tickets=tickets) as call:
                    await echoed(call, FRAMES, 0.01)
                assert not (await server.line())["offered"]
            async with server.calling("echo", tickets=tickets, suites=(Suite.SECP384R1MLKEM1024_AES256GCM,)) as call:
                await echoed(call, FRAMES, 0.01)
            assert not (await server.line())["offered"]
        assert (await call_twice(server, "ticket-none"))[1]["offered"] is False  # of no lifetime
    async with go_server(peer, tmp_path, *HYBRID, "-ticket-seconds", "1") as server:
        with TicketStore() as tickets:
            for pause in (1.05, 0):
                async with server.calling(tickets=tickets) as call:
                    await echoed(call, FRAMES, 0.01)
                assert not (await server.line())["offered"]
                await trio.sleep(pause)


async def test_a_ticket_that_go_ignores_is_no_fault(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path, *HYBRID) as server:
        _, second = await call_twice(server, "resumed-ignored")
        assert (second["offered"], second["resumed"]) == (True, False)


async def test_our_psk_is_of_the_epoch_that_brought_the_ticket(peer: str, tmp_path: Path) -> None:
    """Go gives one ticket under the old epoch when the new one is agreed on already, and one under the new one."""
    async with go_server(peer, tmp_path, *HYBRID) as server:
        for route in ("ticket-between", "step-on"):
            with TicketStore() as tickets:
                for turn in range(2):
                    async with server.calling(route, tickets=tickets) as call:
                        assert len(await echoed(call, FRAMES * 4, 0.01)) == 12
                    assert (call.statistics.epochs, call.statistics.is_resumed) == (2, turn == 1), route
                    said = await server.line()
                    assert (said["code"], said["resumed"], said["epochs"], said["verified"]) == (1000, turn == 1, 2, 1)


GIVEN = {"ticket-lifetime": 4400, "ticket-long": 4400, "ticket-many": 4429, "ticket-pair": 4400}
RESUMED = {
    "resumed-certificate": 4400,
    "resumed-kinds": 4403,
    "resumed-long": 4400,
    "resumed-more-kinds": 4403,
    "resumed-never": 4403,
    "resumed-no-psk": 4401,
    "resumed-psk": 4401,
    "resumed-rarely": 4403,
    "resumed-suite": 4400,
    "resumed-zero": 4400,
}
RESUMED_STEP = {"resumed-step-certificate": 4401, "resumed-step-no-verify": 4411, "resumed-step-verify": 4401}


async def test_go_does_wrong_when_it_gives_a_ticket(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path, *HYBRID) as server:
        for route, code in GIVEN.items():
            ended, told = await server.fate(route)
            seen = (route, ended.code, ended.local, ended.truncated, told["code"], told["by"])
            assert seen == (route, code, True, False, code, "peer")


async def test_go_does_wrong_when_it_accepts_a_ticket(peer: str, tmp_path: Path) -> None:
    both = (Suite.X25519MLKEM768_AES256GCM, Suite.X25519MLKEM768_CHACHA20POLY1305)
    async with go_server(peer, tmp_path, *HYBRID) as server:
        for route, code in RESUMED.items():
            with TicketStore() as tickets:
                async with server.calling(route, tickets=tickets, suites=both) as call:
                    await echoed(call, FRAMES[:2], 0.01)
                await server.line()
                ended, told = await server.refusal(route, tickets=tickets, suites=both)
                assert (route, ended.code, ended.local, told["code"], told["by"]) == (
                    route,
                    code,
                    True,
                    code,
                    "carriage",
                )
                async with server.calling(route, tickets=tickets, suites=both) as call:
                    assert not call.statistics.is_resumed  # that one is not offered again
                assert not (await server.line())["offered"]


async def test_go_does_wrong_in_a_step_of_what_was_resumed(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path, *HYBRID) as server:
        for route, code in RESUMED_STEP.items():
            with TicketStore() as tickets:
                async with server.calling(route, tickets=tickets) as call:
                    await echoed(call, FRAMES, 0.01)
                await server.line()
                ended, told = await server.fate(route, tickets=tickets)
            seen = (route, ended.code, ended.local, ended.truncated, told["code"], told["resumed"])
            assert seen == (route, code, True, False, code, True)
