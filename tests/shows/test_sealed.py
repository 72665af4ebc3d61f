"""A proxy whose tokens' PINs are sealed: it starts without, serves when it is unsealed, and stops when it is sealed."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from sottovoce.admin import Status, ask_status
from sottovoce.app.places import CA_CERTIFICATE
from sottovoce.client import Draining
from sottovoce.hsm.seal import SealConfig, SealStore, new_seal
from sottovoce.primitives import Secret
from sottovoce.settings import load
from sottovoce.transport import SystemEntropy
from tests.running import RunningProxy, copy_directory, make_directory, running_proxy, sottovoce
from tests.shows.calls import PATIENCE, calling, next_frame
from tests.shows.needles import leaks
from tests.shows.orders import SOCKET, order

pytestmark = pytest.mark.interop(tool="softhsm2-util")
_LOOK_SECONDS = 0.02
_WANTED, _COUNT = 2, 3


class SealedDirectory:
    """A directory whose PINs are sealed, and what nobody else has any more."""

    def __init__(self, directory: Path) -> None:
        """Seal the PINs as they lie there; their files are left to the proxy's start."""
        self.directory = directory
        configuration = load(directory / "sottovoce.toml")
        self.pin_files = {name: Path(node.pin_file) for name, node in configuration.hsm.all_nodes.items()}
        self.pins = {name: file.read_bytes().strip() for name, file in self.pin_files.items()}
        held = {name: Secret("PIN", pin) for name, pin in self.pins.items()}
        made = new_seal(held, _WANTED, _COUNT, SystemEntropy())
        seal = SealConfig().resolved(directory)
        SealStore(Path(seal.file), Path(seal.state_file)).create_record(made.record)
        self.shares = [share.copy_for_sealing().decode() for share in made.shares]
        with (directory / "sottovoce.toml").open("a") as file:
            file.write("\n[hsm.seal]\nretry_after_seconds = 77\n")

    def secrets(self) -> Iterator[tuple[str, bytes]]:
        """What must stand in no log."""
        for name, pin in self.pins.items():
            yield f"PIN of {name}", pin
        for number, share in enumerate(self.shares, start=1):
            words = share.split()
            yield f"share {number}", share.encode()
            yield f"a part of share {number}", " ".join(words[8:14]).encode()


@pytest.fixture(scope="module")
def made_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_directory(tmp_path_factory.mktemp("two"), "--tokens", "2")


@pytest.fixture
def sealed(made_of_two: Path, tmp_path: Path) -> SealedDirectory:
    return SealedDirectory(copy_directory(made_of_two, tmp_path))


@contextmanager
def running(sealed: SealedDirectory, *sets: str) -> Generator[RunningProxy]:
    """Run it, with the socket over which it is told; what it has said then holds no secret."""
    (sealed.directory / SOCKET).unlink(missing_ok=True)
    with running_proxy(sealed.directory, *sets, program="tests.shows.sealed_child") as proxy:
        yield proxy
        proxy.stop()
    said = [proxy.log, sealed.directory / "audit/audit.log", *(sealed.directory / "secrets").glob("seal-state*")]
    assert leaks(b"".join(file.read_bytes() for file in said), sealed.secrets()) == []
    assert sottovoce("audit", "verify", sealed.directory).returncode == 0


async def tell(sealed: SealedDirectory, line: str) -> str:
    await until((sealed.directory / SOCKET).exists)
    return await order(sealed.directory, line.encode())


async def unseal(sealed: SealedDirectory) -> None:
    assert await tell(sealed, f"offer {sealed.shares[2]}") == "unsealing"
    assert await tell(sealed, f"offer {sealed.shares[0]}") == "unsealed"


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE):
        while not holds():  # noqa: ASYNC110  another process makes it hold: no event
            await trio.sleep(_LOOK_SECONDS)


async def until_ready(proxy: RunningProxy) -> None:
    with trio.fail_after(PATIENCE):
        while (await readiness(proxy))[0] != 200:  # noqa: ASYNC110  likewise
            await trio.sleep(_LOOK_SECONDS)


async def readiness(proxy: RunningProxy) -> tuple[int, list[str]]:
    def ask() -> tuple[int, list[str]]:
        try:
            with urllib.request.urlopen(f"{proxy.admin}/readyz") as answer:  # noqa: S310  loopback
                return answer.status, json.load(answer)["reasons"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["reasons"]

    return await trio.to_thread.run_sync(ask)


async def status_of(proxy: RunningProxy) -> Status:
    return await trio.to_thread.run_sync(ask_status, proxy.admin)


async def metric(proxy: RunningProxy, name: str) -> float:
    def ask() -> float:
        with urllib.request.urlopen(f"{proxy.admin}/metrics") as answer:  # noqa: S310  loopback
            lines = answer.read().decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0)

    return await trio.to_thread.run_sync(ask)


async def knock(proxy: RunningProxy, *, trusting: bool = True) -> tuple[int, str | None, str]:
    """Ask for a call by plain HTTP; give status, Retry-After and text."""

    def ask() -> tuple[int, str | None, str]:
        context = ssl.create_default_context(cafile=str(proxy.directory / CA_CERTIFICATE))
        if not trusting:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("localhost", proxy.port, context=context, timeout=PATIENCE)
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": "sottovoce.v1",
        }
        connection.request("GET", "/v1/voice/echo", headers=headers)
        answer = connection.getresponse()
        said = answer.status, answer.getheader("Retry-After"), answer.read().decode().strip()
        connection.close()
        return said

    return await trio.to_thread.run_sync(ask)


REFUSED = (503, "77", "no calls are taken at the moment")


async def call_once(proxy: RunningProxy) -> None:
    async with calling(proxy) as call:
        await call.send(b"hello" * 128)
        assert await next_frame(call) == b"hello" * 128


async def test_it_starts_sealed_serves_once_it_is_unsealed_and_a_restart_is_sealed_again(
    sealed: SealedDirectory,
) -> None:
    with running(sealed) as proxy:
        assert not any(file.exists() for file in sealed.pin_files.values()), "what had a PIN was erased"
        assert await readiness(proxy) == (503, ["sealed"])
        assert await knock(proxy, trusting=False) == REFUSED
        status = await status_of(proxy)
        assert (status.state, status.hsm.state) == ("unready", "sealed")
        assert {token.state for token in status.hsm.tokens} == {"sealed"}
        assert status.seal is not None
        assert (status.seal.state, status.seal.have, status.seal.wanted, status.seal.count) == ("sealed", 0, 2, 3)
        (concern,) = status.concerns
        assert concern.remedy == "2 of 3 shares unseal it"
        assert "sealed since" in sottovoce("status", proxy.admin).stdout
        assert await metric(proxy, "sottovoce_hsm_unsealed_up") == 0
        assert proxy.events("token.started") == proxy.events("leaf.renewal_failed") == []
        await unseal(sealed)
        await until_ready(proxy)
        await call_once(proxy)
        assert await metric(proxy, "sottovoce_hsm_unsealed_up") == 1
        assert (await tell(sealed, "offer x")).startswith("SealRefused: ")
    with running(sealed) as proxy:
        assert await readiness(proxy) == (503, ["sealed"])
        assert "the proxy was started" in proxy.events("hsm.sealed")[0]["reason"]


async def test_sealed_in_the_middle_of_traffic_it_does_as_is_written(sealed: SealedDirectory) -> None:
    with running(sealed, "voice.epoch_seconds=6") as proxy:
        await unseal(sealed)
        await until_ready(proxy)
        signed = await metric(proxy, 'sottovoce_roots_total{kind="rekey_verify",outcome="signed"}')
        began = trio.current_time()
        with trio.fail_after(PATIENCE), pytest.raises(Draining) as ended:  # noqa: PT012  a call's whole life
            async with calling(proxy) as call:
                await call.send(bytes(640))
                await next_frame(call)
                began = trio.current_time()
                assert await tell(sealed, "seal somebody left") == "sealed"  # at once: the call still goes on
                assert await knock(proxy) == REFUSED, "under the certificate that clients trust"
                assert await readiness(proxy) == (503, ["sealed"])
                await call.send(b"\1" * 640)
                assert await next_frame(call) == b"\1" * 640, "the epoch is finished"
                async for _ in call:
                    pass
        assert ended.value.code == 4460
        assert 2 < trio.current_time() - began < 6
        assert await metric(proxy, 'sottovoce_roots_total{kind="rekey_verify",outcome="signed"}') == signed
        status = await status_of(proxy)
        assert status.ticket_key.key == ""
        assert status.seal is not None
        assert status.seal.reason == "somebody left"
        assert proxy.events("hsm.sealed")[-1]["reason"] == "somebody left"
        await unseal(sealed)
        await until_ready(proxy)
        await call_once(proxy)
        audited = sottovoce("audit", "tail", sealed.directory).stdout
        await tell(sealed, "seal again")
    for heading in ("hsm sealed", "hsm unsealing", "hsm unsealed", "ticket key erased"):
        assert heading in audited
    assert not proxy.events("token.lost"), "nothing was lost"
    assert not proxy.events("task.crashed")
    with running(sealed) as proxy:
        assert proxy.events("hsm.sealed")[0]["reason"] == "again", "who sealed it has to be told after a restart"


async def test_calls_end_at_once_where_it_is_configured_so(sealed: SealedDirectory) -> None:
    with running(sealed, "hsm.seal.running_calls=at-once") as proxy:
        await unseal(sealed)
        await until_ready(proxy)
        began = trio.current_time()
        with trio.fail_after(PATIENCE), pytest.raises(Draining):  # noqa: PT012  a call's whole life
            async with calling(proxy) as call:
                await call.send(bytes(640))
                await next_frame(call)
                began = trio.current_time()
                await tell(sealed, "seal at once")
                async for _ in call:
                    pass
        assert trio.current_time() - began < 20, "an epoch lasts five minutes"


async def test_under_a_load_of_new_calls_each_is_served_or_told_to_come_again(sealed: SealedDirectory) -> None:
    """Some are in their handshake at that moment: they are told 4460, and none is left waiting."""
    outcomes: list[str] = []

    async def call(proxy: RunningProxy) -> None:
        try:
            await call_once(proxy)
            outcomes.append("served")
        except Exception as error:  # noqa: BLE001  its kind is what is looked at
            outcomes.append(f"{type(error).__name__}: {error}")

    with running(sealed) as proxy:
        await unseal(sealed)
        await until_ready(proxy)
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(call, proxy)
                    await trio.sleep(0.05)
                    if number == 20:
                        await tell(sealed, "seal under load")
        dropped = proxy.events("signature.dropped")
        assert all("client" not in each and "the HSM is sealed" in each["reason"] for each in dropped), "whole batches"
    assert outcomes.count("served") > 10
    assert any("503" in outcome for outcome in outcomes)
    assert all("served" in outcome or "503" in outcome or "4460" in outcome for outcome in outcomes)


async def test_what_is_no_share_is_refused_and_told_and_nothing_else_changes(sealed: SealedDirectory) -> None:
    words = sealed.shares[0].split()
    another = next(word for word in words if word != words[-1])
    with running(sealed) as proxy:
        assert (await tell(sealed, f"offer {' '.join(words[:-1])}")).startswith("ShareMalformed: ")
        assert (await tell(sealed, f"offer {' '.join([*words[:-1], another])}")).startswith("ShareCorrupt: ")
        assert await tell(sealed, f"offer {sealed.shares[0]}") == "unsealing"
        assert (await tell(sealed, f"offer {sealed.shares[0]}")).startswith("ShareRepeated: ")
        assert await readiness(proxy) == (503, ["sealed"])
        assert [each["kind"] for each in proxy.events("hsm.share_refused")] == [
            "ShareMalformed",
            "ShareCorrupt",
            "ShareRepeated",
        ]
        assert await tell(sealed, "seal no") == "sealed"


def test_commands_that_need_the_pin_say_that_it_is_sealed_and_check_looks_at_the_seal(sealed: SealedDirectory) -> None:
    assert sottovoce("check", sealed.directory).returncode == 0
    rotated = sottovoce("anchor", "rotate", sealed.directory)
    assert rotated.returncode == 1
    assert "PINs are sealed" in rotated.stderr
    assert sottovoce("doctor", sealed.directory).returncode in {0, 3}
    seal = sealed.directory / SealConfig().file
    seal.rename(seal.with_suffix(".away"))
    checked = sottovoce("check", sealed.directory)
    assert checked.returncode == 1
    assert "hsm.seal.file" in checked.stderr + checked.stdout
