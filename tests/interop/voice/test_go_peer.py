"""Another implementation of the voice protocol, written in Go from docs/protocol.md alone, at the other end.

Its client calls `sottovoce serve`, our client calls its server; then each does one thing wrong after the other, and the
other end has to say the code that the text names.  Needs Go 1.26.
"""

import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.client import AuthFailed, ConnectFailed, Draining, Suite
from tests.interop.voice.peers import TOKEN, Callee, GoServer, echoed, go_server, until
from tests.running import copy_directory, running_proxy

pytestmark = pytest.mark.interop(tool="go")

EPOCHS, KEYS = 3, 20
SUITES = {
    Suite.X25519MLKEM768_AES256GCM: "1",
    Suite.X25519MLKEM768_CHACHA20POLY1305: "2",
    Suite.SECP384R1MLKEM1024_AES256GCM: "101",
}
CLASSICAL = {Suite.X25519_AES256GCM: "f001", Suite.SECP384R1_AES256GCM: "f002"}
SHORT = ("-epoch-seconds", "2", "-messages-per-key", "16")
HYBRID = ("-pq", "65", "-anchor-pq", "87")
FRAMES = [bytes([number % 251, number // 251]) * 160 for number in range(480)]
"""Ten milliseconds each: four seconds and a half, in which the keys of an epoch are used up ten times."""


def assert_went_well(said: dict[str, Any]) -> None:
    assert (said["code"], said["by"], said["close_code"]) == (1000, "self", 1000), said
    assert said["identical"], said


async def test_a_client_of_go_calls_us_under_every_suite(peer: str, proxy: Callee) -> None:
    said: dict[str, dict[str, Any]] = {}

    async def call(suite: str) -> None:
        enough = ("-epochs", str(EPOCHS), "-frames", "400")  # the one or the other takes longer, as the machine is
        said[suite] = await proxy.call(peer, "-suites", suite, *enough, "-frame-ms", "10")

    async with trio.open_nursery() as nursery:
        for suite in SUITES.values():
            nursery.start_soon(call, suite)
    for suite, name in ((suite, int(suite, 16)) for suite in SUITES.values()):
        one = said[suite]
        assert_went_well(one)
        assert (one["suite"], one["group"], one["pq"]) == (name, "X25519MLKEM768", True)
        assert one["epochs"] == one["verified"] + 1 >= EPOCHS
        assert min(one["turned"], one["peer_turned"]) + one["epochs"] > KEYS
    ended = proxy.running.events("session.ended")[-len(SUITES) :]
    assert {(event["code"], event["side"], event["truncated"]) for event in ended} == {(1000, "client", False)}


async def test_our_client_calls_a_server_of_go_under_every_suite(peer: str, tmp_path: Path) -> None:
    is_whole: list[bool] = []

    async def call(server: GoServer, suite: Suite) -> None:
        async with server.calling(suites=(suite,), frame_ms=10) as call:
            is_whole.append(await echoed(call, FRAMES, 0.01) == FRAMES)
            figures = call.statistics
        assert figures.epochs == figures.reauthentications + 1 >= EPOCHS  # more if the machine takes its time
        assert figures.generations > KEYS
        assert figures.server_signatures == ("ECDSA_P384", "MLDSA65")

    suites = {**SUITES, **CLASSICAL}
    for _ in range(3):  # keys that grow too old, where somebody stands still, cost frames: as the text allows
        is_whole.clear()
        async with go_server(peer, tmp_path, *SHORT, *HYBRID, "-suites", ",".join(suites.values())) as server:
            async with trio.open_nursery() as nursery:
                for suite in suites:
                    nursery.start_soon(call, server, suite)
            said = [await server.line() for _ in suites]
        assert {one["suite"] for one in said} == {int(number, 16) for number in suites.values()}
        for one in said:
            assert (one["code"], one["by"], one["close_code"]) == (1000, "peer", 1000)
            assert one["epochs"] >= EPOCHS
            assert min(one["turned"], one["peer_turned"]) + one["epochs"] > KEYS
        if all(is_whole):
            break
    assert all(is_whole)


@pytest.mark.parametrize("options", [("-pq", "0"), ("-pq", "44"), ("-pq", "87", "-anchor-pq", "65")])
async def test_our_client_takes_every_pair_of_keys(peer: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    """A root step comes at once, and with it a second proof; messages arrive in pieces."""
    asked = ("-request-after", "2", "-fragment", "400")
    async with go_server(peer, tmp_path, *options, *asked) as server, server.calling() as call:
        assert await echoed(call, FRAMES[:40], 0.01) == FRAMES[:40]
        assert (call.statistics.epochs, call.statistics.reauthentications) == (2, 1)


async def test_go_climbs_the_paths_of_a_batch(peer: str, proxy: Callee) -> None:
    """Calls that begin at the same moment are signed together; chance may keep them apart, but not each time."""
    for _ in range(5):
        said = await proxy.call(peer, "-together", "8")
        for one in said:
            assert_went_well(one)
        if max(one["nodes"] for one in said) >= 2:
            return
    raise AssertionError("each had a root of its own")


async def test_hello_retry_both_ways(peer: str, proxy: Callee, tmp_path: Path) -> None:
    there, back = tmp_path / "there.pcm", tmp_path / "back.pcm"
    there.write_bytes(b"".join(FRAMES[:20]))
    audio = ("-in", str(there), "-out", str(back), "-frames", "10", "-metadata", '{"from": "Go"}')
    for suites in ("1", "101", "101,1"):
        said = await proxy.call(peer, "-suites", suites, "-no-shares", "-fragment", "300", *audio)
        assert_went_well(said)
        assert said["retried"]
        assert back.read_bytes() == there.read_bytes()
    async with go_server(peer, tmp_path, *HYBRID, "-suites", "101") as server:
        both = (Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM)
        async with server.calling(suites=both) as call:
            assert await echoed(call, FRAMES[:10], 0.01) == FRAMES[:10]
        said = await server.line()
        assert (said["retried"], said["suite"], said["code"]) == (True, 0x0101, 1000)


async def test_a_proxy_that_drains_says_so_to_go(peer: str, made_by_init: Path, tmp_path: Path) -> None:
    directory = copy_directory(made_by_init, tmp_path)
    names = ",".join(f'"{suite.name}"' for suite in (Suite.X25519MLKEM768_AES256GCM, *CLASSICAL))
    with running_proxy(directory, f"voice.suites=[{names}]") as running:
        callee = Callee(running, directory)
        said: list[dict[str, Any]] = []

        async def stay() -> None:
            said.append(await callee.call(peer, "-stay"))

        for number in CLASSICAL.values():  # this proxy's policy has them
            assert_went_well(await callee.call(peer, "-suites", number))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stay)
            await until(lambda: len(running.events("session.established")) > len(CLASSICAL))
            await trio.to_thread.run_sync(running.stop)
    [one] = said
    assert (one["code"], one["by"], one["close_code"]) == (4460, "peer", 4460)


async def test_a_server_of_go_that_drains_says_so_to_us(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path) as server, server.calling() as call:
        await call.send(FRAMES[0])
        await anext(call)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(Draining):
            await anext(call)
        assert call.ended is not None
        assert (call.ended.code, call.ended.truncated, call.ended.local) == (4460, False, False)
        assert (await server.line())["by"] == "self"


async def test_tokens_both_ways(peer: str, proxy: Callee, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(TOKEN)
    wrong.write_text(TOKEN[::-1])
    assert_went_well(await proxy.call(peer, "-token-file", str(right)))
    said = await proxy.call(peer, "-token-file", str(wrong))
    assert (said["code"], said["by"]) == (4401, "carriage")
    assert proxy.running.events("session.refused")[-1]["code"] == 4401
    async with go_server(peer, tmp_path, "-token", TOKEN) as server:
        async with server.calling(token=right) as call:
            assert await echoed(call, FRAMES[:5], 0.01) == FRAMES[:5]
        assert (await server.line())["code"] == 1000
        # Our client's handshake is over with its last message: what comes then is a bare close, an unproven hint.
        fate, told = await server.fate(token=wrong)
        assert (fate.code, fate.truncated, fate.local) == (4401, True, False)
        assert (told["code"], told["why"]) == (4401, "a wrong token")
        ended, told = await server.refusal()  # it takes no calls without a credential
        assert (ended.local, ended.code, told["code"]) == (True, 4403, 4403)


async def test_another_anchor_both_ways(peer: str, proxy: Callee, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path, *HYBRID) as server:
        said = await proxy.call(peer, anchor=server.anchor)
        assert (said["code"], said["by"]) == (4401, "self")
        ended, told = await server.refusal(anchor=proxy.directory / "certs/anchor.json")
        assert isinstance(ended, AuthFailed)
        assert (ended.local, told["code"], told["by"]) == (True, 4401, "carriage")


IN_HANDSHAKE = {
    "binding none": 4403,
    "binding type 2": 4415,
    "binding value": 4401,
    "codec": 4403,
    "duplicate group": 4400,
    "finished": 4401,
    "flight tampered": 4401,
    "hello first byte": 4400,
    "hello frame": 4400,
    "hello text": 4400,
    "hello too large": 4413,
    "hello trailing": 4400,
    "metadata": 4400,
    "second hello differs": 4400,
    "share length": 4412,
    "share mlkem": 4412,
    "share x25519": 4412,
    "unknown tag": 4400,
    "version": 4406,
}
IN_SESSION = {
    "all padding": 4400,
    "counter": 4421,
    "flood": 4429,
    "gap": 4409,
    "header": 4400,
    "old epoch": 4409,
    "plain": 4400,
    "replayed": 4409,
    "response": 4411,
    "step epoch": 4411,
    "step group": 4411,
    "step share": 4412,
    "step twice": 4411,
    "switch": 4411,
    "tampered": 4410,
    "text": 4400,
    "ticket": 4400,
    "too large": 4413,
    "too large audio": 4413,
    "unknown type": 4400,
    "wrong direction": 4400,
}


@pytest.mark.parametrize("fault", IN_HANDSHAKE)
async def test_a_client_of_go_does_wrong_in_the_handshake(peer: str, proxy: Callee, fault: str) -> None:
    options = ["-no-shares"] if fault == "second hello differs" else []
    said = await proxy.call(peer, "-fault", fault, *options)
    assert (said["code"], said["by"]) == (IN_HANDSHAKE[fault], "carriage")
    assert proxy.running.events("session.refused")[-1]["code"] == IN_HANDSHAKE[fault]


@pytest.mark.parametrize("fault", IN_SESSION)
async def test_a_client_of_go_does_wrong_in_a_session(peer: str, proxy: Callee, fault: str) -> None:
    said = await proxy.call(peer, "-fault", fault, "-pace", "5ms")
    assert (said["code"], said["by"], said["close_code"]) == (IN_SESSION[fault], "peer", IN_SESSION[fault])
    ended = proxy.running.events("session.ended")[-1]
    assert (ended["code"], ended["side"], ended["truncated"]) == (IN_SESSION[fault], "proxy", False)


@pytest.mark.parametrize("fault", ["drop", "close without a word"])
async def test_a_client_of_go_leaves_without_a_word(peer: str, proxy: Callee, fault: str) -> None:
    before = len(proxy.running.events("session.ended"))
    await proxy.call(peer, "-fault", fault, "-pace", "5ms")
    await until(lambda: len(proxy.running.events("session.ended")) > before)
    assert proxy.running.events("session.ended")[-1]["truncated"]


SERVER_IN_HANDSHAKE = {
    "binding": 4401,
    "certificate-anchor": 4401,
    "certificate-early": 4401,
    "certificate-expired": 4401,
    "certificate-host": 4401,
    "certificate-long": 4401,
    "certificate-signature": 4401,
    "finished": 4401,
    "flight-tampered": 4401,
    "hello-suite": 4406,
    "hello-tag": 4400,
    "hello-ticket": 4400,
    "hello-version": 4406,
    "order": 4400,
    "params-codec": 4403,
    "params-epoch": 4403,
    "params-key": 4403,
    "params-kinds": 4403,
    "params-no-codec": 4400,
    "params-padding": 4403,
    "proof-classical": 4401,
    "proof-direction": 4400,
    "proof-long": 4400,
    "proof-no-pq": 4401,
    "proof-path": 4401,
    "proof-pq": 4401,
    "retry-had": 4412,
    "retry-twice": 4400,
    "retry-unknown": 4412,
    "retry-unoffered": 4412,
    "share-group": 4412,
    "share-length": 4412,
    "share-x25519": 4412,
    "text": 4400,
}
SERVER_IN_SESSION = {
    "all-padding": 4400,
    "counter": 4421,
    "gap": 4409,
    "header": 4400,
    "init": 4411,
    "plain": 4400,
    "replayed": 4409,
    "response": 4411,
    "session-text": 4400,
    "step-certificate": 4401,
    "step-epoch": 4411,
    "step-group": 4411,
    "step-no-verify": 4411,
    "step-share": 4412,
    "step-verify": 4401,
    "switch": 4411,
    "tampered": 4410,
    "too-large": 4413,
    "too-large-audio": 4413,
    "unknown-type": 4400,
    "wrong-direction": 4400,
}


async def test_a_server_of_go_does_wrong_in_the_handshake(peer: str, tmp_path: Path) -> None:
    both = (Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM)
    async with go_server(peer, tmp_path, *HYBRID) as server:
        for route, code in SERVER_IN_HANDSHAKE.items():
            ended, told = await server.refusal(route, suites=both)
            assert (route, ended.code, ended.local, told["code"], told["by"]) == (route, code, True, code, "carriage")


async def test_a_server_of_go_does_wrong_in_a_session(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path, *HYBRID) as server:
        for route, code in SERVER_IN_SESSION.items():
            ended, told = await server.fate(route)
            seen = (route, ended.code, ended.local, ended.truncated, told["code"], told["by"])
            assert seen == (route, code, True, False, code, "peer")


@pytest.mark.parametrize("route", ["drop", "close-without-a-word"])
async def test_a_server_of_go_leaves_without_a_word(peer: str, tmp_path: Path, route: str) -> None:
    async with go_server(peer, tmp_path) as server:
        ended, _ = await server.fate(route)
        assert (ended.truncated, ended.local) == (True, False)


async def test_our_client_fails_closed_where_nothing_speaks_it(peer: str, tmp_path: Path) -> None:
    async with go_server(peer, tmp_path) as server:
        with pytest.raises(ConnectFailed):
            async with server.calling("nothing-selected"):
                pass
