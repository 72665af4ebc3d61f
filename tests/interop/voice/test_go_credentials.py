"""Keys and certificates of clients, between our side and the peer of Go, and what each may not do with them."""

from pathlib import Path
from typing import Any

import pytest

from tests.interop.voice.peers import ALGORITHMS, STRANGER, Callee, Callers, echoed, go_server

pytestmark = pytest.mark.interop(tool="go")

QUICK = ("-frames", "2", "-pace", "5ms")
FRAMES = [bytes([number]) * 640 for number in range(3)]


def assert_went_well(said: dict[str, Any]) -> None:
    assert (said["code"], said["by"], said["identical"]) == (1000, "self", True), said


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_go_calls_us_with_a_key(peer: str, proxy: Callee, callers: Callers, algorithm: str) -> None:
    assert_went_well(await proxy.call(peer, *QUICK, "-key", callers.key(algorithm)))
    assert proxy.running.events("session.established")[-1]["identity"] == algorithm


async def test_go_calls_us_with_a_certificate(peer: str, proxy: Callee, callers: Callers) -> None:
    certificate, key = callers.certificate
    assert_went_well(await proxy.call(peer, *QUICK, "-cert", certificate, "-cert-key", key))
    assert proxy.running.events("session.established")[-1]["identity"] == "kiosk.example"


async def test_we_call_go_with_keys_and_a_certificate(peer: str, callers: Callers, tmp_path: Path) -> None:
    certificate, key = callers.certificate
    known = ("-client-keys", callers.encoded, "-client-ca", str(callers.ca))
    async with go_server(peer, tmp_path, *known) as server:
        shown = [{"key": callers.key(algorithm)} for algorithm in ALGORITHMS]
        for options in (*shown, {"certificate": certificate, "certificate_key": key}):
            async with server.calling(**options) as call:
                assert await echoed(call, FRAMES, 0.01) == FRAMES
            assert (await server.line())["code"] == 1000
        fate, told = await server.fate(key=callers.key(STRANGER))
        assert (fate.code, fate.truncated) == (4401, True)
        assert (told["code"], told["why"]) == (4401, "a key that nobody has added")
        ended, told = await server.refusal()
        assert (ended.local, ended.code, told["code"]) == (True, 4403, 4403)


FAULTS = {
    "certificate none": 4401,
    "key garbage": 4401,
    "key short": 4400,
    "key algorithm": 4400,
    "key small order": 4401,
    "kind unknown": 4401,
    "none with a value": 4400,
    "verify algorithm": 4401,
    "verify missing": 4400,
    "verify string": 4401,
    "verify tampered": 4401,
    "verify transcript": 4401,
    "verify unasked": 4400,
}
WITH_KEY = {"key short", "key algorithm", "key garbage", *(fault for fault in FAULTS if fault.startswith("verify "))}


async def assert_refused(peer: str, proxy: Callee, code: int, *options: str) -> None:
    said = await proxy.call(peer, *QUICK, *options)
    assert (said["code"], said["by"]) == (code, "carriage"), said
    assert proxy.running.events("session.refused")[-1]["code"] == code


@pytest.mark.parametrize("fault", FAULTS)
async def test_go_shows_a_wrong_credential(peer: str, proxy: Callee, callers: Callers, fault: str) -> None:
    unasked = fault == "verify unasked"
    for algorithm in ALGORITHMS if fault in WITH_KEY and not unasked else [""]:
        if fault == "key garbage" and algorithm != "ecdsa_secp384r1_sha384":
            continue  # any bytes of that length are a key of the others
        key = ("-key", callers.key(algorithm)) if algorithm else ()
        await assert_refused(peer, proxy, FAULTS[fault], "-fault", fault, *key)


@pytest.mark.parametrize("fault", ["certificate other", "certificate short"])
async def test_go_shows_another_certificate_than_its_own(
    peer: str, proxy: Callee, callers: Callers, fault: str
) -> None:
    certificate, key = callers.certificate
    await assert_refused(peer, proxy, 4401, "-cert", certificate, "-cert-key", key, "-fault", fault)


async def test_go_shows_a_key_that_nobody_knows(peer: str, proxy: Callee, callers: Callers) -> None:
    await assert_refused(peer, proxy, 4401, "-key", callers.key(STRANGER))
