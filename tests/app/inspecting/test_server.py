from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from sottovoce.app.doctor.remote import Trusted
from sottovoce.app.inspecting import Inspection, inspect_url, place_of
from sottovoce.client import CallMisconfigured, ConnectFailed
from tests.app.doctor.test_remote import serving
from tests.running import RunningProxy, make_directory, running_proxy


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    directory = make_directory(tmp_path_factory.mktemp("server"))
    with running_proxy(directory, "admin.address=127.0.0.1:0") as running:
        yield running


def values(found: Inspection, name: str) -> list[str]:
    return [each.value for each in found.facts if each.name == name]


@pytest.mark.interop(tool="softhsm2-util")
async def test_a_proxy_of_ours_with_its_anchor(proxy: RunningProxy) -> None:
    found = await inspect_url(place_of(proxy.url, Trusted(directory=proxy.directory)))
    assert (found.kind, found.faults) == ("server", ())
    assert values(found, "group") == ["X25519MLKEM768; post-quantum: yes"]
    assert values(found, "tls")[0].startswith("TLSv1.3, TLS_")
    assert values(found, "for") == ["localhost, 127.0.0.1, ::1"]
    assert values(found, "believed") == ["yes"]
    assert values(found, "speaks") == ["sottovoce.v1 on /v1/voice/echo"]
    assert "proved by ECDSA_P384 + MLDSA65" in values(found, "voice")[0]


@pytest.mark.interop(tool="softhsm2-util")
async def test_without_trust_it_is_told_all_the_same(proxy: RunningProxy) -> None:
    found = await inspect_url(place_of(f"{proxy.url.replace('wss', 'https')}/none", Trusted()))
    assert found.faults == ()
    assert values(found, "believed")[0].startswith("no: ")
    assert "unknown ca" in values(found, "believed")[0]
    assert "HTTP status 404" in values(found, "speaks")[0]
    assert values(found, "voice") == []


@pytest.mark.interop(tool="softhsm2-util")
async def test_an_anchor_of_another_is_a_fault(proxy: RunningProxy, tmp_path: Path) -> None:
    anchor = make_directory(tmp_path) / "certs/anchor.json"
    trusted = Trusted(anchor=anchor, ca=proxy.directory / "certs/ca.pem")
    found = await inspect_url(place_of(proxy.url, trusted))
    (fault,) = found.faults
    assert "which is not in the anchor file" in fault


async def plain_http(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_what_is_no_server_is_an_error_of_one_line() -> None:
    async with serving(plain_http) as port:
        with pytest.raises(ConnectFailed, match="does not speak TLS on this port"):
            await inspect_url(place_of(f"wss://127.0.0.1:{port}", Trusted()))
    with pytest.raises(ConnectFailed, match="Connection refused"):
        await inspect_url(place_of(f"wss://127.0.0.1:{port}", Trusted()))


@pytest.mark.parametrize("url", ["ws://x", "wss://", "wss://[x", "ftp://x/y", "https://user@x"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(CallMisconfigured):
        place_of(url, Trusted())


@pytest.mark.parametrize("url", ["wss://x", "wss://x/", "https://x", "https://x/"])
def test_a_url_need_not_name_a_route(url: str) -> None:
    assert place_of(url, Trusted()).address.target == "/v1/voice/echo"
