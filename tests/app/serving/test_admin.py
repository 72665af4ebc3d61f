"""A real proxy, asked while things happen to it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.app.serving.reload import settle
from sottovoce.settings import build
from tests.app.directories import made_directory
from tests.running import SOTTOVOCE, RunningProxy, copy_directory, environment, running_proxy, sottovoce
from tests.shows.calls import calling, next_frame

__all__ = ["made_directory"]

pytestmark = pytest.mark.interop(tool="softhsm2-util")
PATIENCE_SECONDS = 60


@pytest.fixture
def directory(made_directory: Path, tmp_path: Path) -> Path:
    directory = copy_directory(made_directory, tmp_path)
    (directory / "sottovoce.toml").write_text('[listener]\naddress = "127.0.0.1:0"\n')
    return directory


def get(proxy: RunningProxy, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy.admin.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def status_of(proxy: RunningProxy) -> dict[str, Any]:
    code, body = get(proxy, "/status")
    assert code == 200
    return json.loads(body)


def wait_for(proxy: RunningProxy, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask until the status is as wanted."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so(found := status_of(proxy)):
        assert time.monotonic() < give_up_at, found
        time.sleep(0.02)
    return found


def token_pid(proxy: RunningProxy) -> int:
    return proxy.events("token.started")[-1]["pid"]


async def test_a_healthy_proxy_with_a_call(directory: Path) -> None:
    with running_proxy(directory) as proxy:
        assert get(proxy, "/healthz") == (200, b"ok\n")
        assert get(proxy, "/readyz")[0] == 200
        async with calling(proxy) as call:
            await call.send(bytes(640))
            await next_frame(call)
            during = await trio.to_thread.run_sync(status_of, proxy)
        after = await trio.to_thread.run_sync(wait_for, proxy, lambda found: not found["calls"]["now"])
        ran = sottovoce("status", directory)
        metrics = get(proxy, "/metrics")
    assert (during["state"], during["concerns"]) == ("healthy", [])
    assert during["calls"] == {"now": 1, "peak": 1, "total": 1}
    assert during["listeners"] == [
        {"name": "listener", "address": proxy.addresses[0], "pq": "prefer", "calls": 1},
    ]
    assert during["handshakes"] == {"groups": {"X25519MLKEM768": 1}, "hybrid_share": 1.0}
    assert during["hsm"]["roots_signed"] == 1
    assert during["pid"] == proxy.pid
    assert 86_000 < during["leaf"]["seconds_left"] <= 86_400
    assert after["calls"] == {"now": 0, "peak": 1, "total": 1}
    assert after["audit"]["records"] > 10
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("healthy · 0 calls · hsm up · leaf 23 h ")
    assert ran.stdout.endswith(" · pq prefer: 100 % hybrid\n")
    assert metrics[0] == 200
    assert b"sottovoce_ready_up 1" in metrics[1]


def test_a_killed_token_process_is_one_concern_at_every_instant(directory: Path) -> None:
    with running_proxy(directory) as proxy:
        pid = token_pid(proxy)
        os.kill(pid, signal.SIGKILL)
        seen = [wait_for(proxy, lambda found: bool(found["concerns"]))]
        while seen[-1]["hsm"]["state"] != "up":
            seen.append(status_of(proxy))
        assert token_pid(proxy) != pid
    assert {(len(found["concerns"]), found["concerns"][0]["cause"]) for found in seen} == {(1, "hsm")}
    assert seen[-1]["concerns"][0]["severity"] == "notice"
    assert (seen[-1]["state"], seen[-1]["hsm"]["replacements"]) == ("healthy", 1)


def test_a_token_that_stays_away_is_one_concern_until_it_comes_back(directory: Path) -> None:
    pin = directory / "secrets/pin"
    with running_proxy(directory) as proxy:
        pin.rename(pin.with_name("away"))
        os.kill(token_pid(proxy), signal.SIGKILL)
        found = wait_for(proxy, lambda found: "secrets/pin" in found["hsm"]["reason"])
        proxy.process.send_signal(signal.SIGHUP)  # both certificates are wanted anew, and wait
        proxy_call = sottovoce("call", f"{proxy.url}/echo", "--tone", "--dir", directory)
        assert proxy_call.returncode == 1
        found = status_of(proxy)
        assert get(proxy, "/readyz")[0] == 200, "the certificates have most of their life"
        ran = sottovoce("status", proxy.admin)
        pin.with_name("away").rename(pin)
        back = wait_for(proxy, lambda found: found["hsm"]["state"] == "up")
    (concern,) = found["concerns"]
    assert (found["state"], found["hsm"]["state"]) == ("degraded", "down")
    assert (concern["severity"], concern["cause"]) == ("degraded", "hsm")
    assert concern["what"].startswith("down since ")
    assert concern["remedy"]
    assert ran.returncode == 3
    first, second = ran.stdout.splitlines()
    assert first.startswith("degraded · 0 calls · hsm down · ")
    assert second.startswith("degraded  hsm: down since ")
    assert back["state"] == "healthy"


def test_ready_is_red_with_a_low_leaf_while_the_token_is_down(directory: Path) -> None:
    """A leaf of an hour, whose proxy then finds itself an hour on."""
    with running_proxy(directory, program="tests.app.serving.low_leaf") as proxy:
        (directory / "secrets/pin").unlink()
        os.kill(token_pid(proxy), signal.SIGKILL)
        wait_for(proxy, lambda found: found["hsm"]["state"] == "down")
        code, body = get(proxy, "/readyz")
        assert (code, json.loads(body)["reasons"]) == (503, ["hsm_down_and_leaf_low"])
        found = status_of(proxy)
        assert (found["state"], len(found["concerns"])) == ("unready", 1)
        assert "the TLS certificate ends in " in found["concerns"][0]["what"]


async def test_ready_is_red_while_the_proxy_drains(directory: Path) -> None:
    with running_proxy(directory, "process.drain_seconds=3600") as proxy:  # the call is sent away in an hour, by chance
        async with calling(proxy) as call:
            await call.send(bytes(640))
            await next_frame(call)
            proxy.process.send_signal(signal.SIGTERM)
            found = await trio.to_thread.run_sync(wait_for, proxy, lambda found: found["draining"])
            code, body = await trio.to_thread.run_sync(get, proxy, "/readyz")
        assert (code, json.loads(body)["reasons"]) == (503, ["draining"])
        assert found["state"] == "unready"
        assert [concern["cause"] for concern in found["concerns"]] == ["drain"]


async def test_a_backend_that_is_not_there_is_named_without_its_query(directory: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        url = f"ws://127.0.0.1:{port}/in?token=planted"
        with running_proxy(directory, "routes.bot.adapter=raw", f"routes.bot.url={url}") as proxy:
            before = status_of(proxy)["routes"]
            ran = sottovoce("call", f"{proxy.url}/bot", "--tone", "--dir", directory)
            assert ran.returncode == 1
            found = status_of(proxy)
            body = get(proxy, "/status")[1]
    assert [(route["name"], route["backend"]) for route in before] == [("bot", "not called yet")]
    (concern,) = found["concerns"]
    assert (found["state"], concern["cause"]) == ("degraded", "backend.bot")
    assert re.match(rf"127\.0\.0\.1:{port} is down since \d+ s: ", concern["what"])
    assert "routes.bot.url" in concern["remedy"]
    assert b"planted" not in body


def test_a_backend_whose_address_was_mended_is_not_called_down(directory: Path) -> None:
    route = '[listener]\naddress = "127.0.0.1:0"\n[routes.bot]\nadapter = "raw"\nurl = "ws://127.0.0.1:{}/"\n'
    file = directory / "sottovoce.toml"
    file.write_text(route.format(1))
    with running_proxy(directory) as proxy:
        assert sottovoce("call", f"{proxy.url}/bot", "--tone", "--dir", directory).returncode == 1
        assert [concern["cause"] for concern in status_of(proxy)["concerns"]] == ["backend.bot"]
        file.write_text(route.format(2))
        proxy.process.send_signal(signal.SIGHUP)
        found = wait_for(proxy, lambda found: not found["concerns"])
    assert found["routes"][0]["backend"] == "not called yet"


def test_a_second_proxy_on_the_same_admin_address_is_told_in_one_line(directory: Path, tmp_path: Path) -> None:
    other = copy_directory(directory, tmp_path, "other")
    with running_proxy(directory) as proxy:
        address = proxy.admin.removeprefix("http://")
        ran = sottovoce("serve", other, "--set", "log.format=json", "--set", f"admin.address={address}")
    assert (ran.returncode, ran.stdout) == (1, "")
    said = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert said[0].startswith(f"sottovoce: admin.address: cannot listen on {address} (Address already in use): ")
    assert said[0].endswith(f": pid {proxy.pid}, another sottovoce, listens there: choose another port")


def test_serve_prints_the_admin_address_where_json_is_wanted(directory: Path) -> None:
    words = ("--set", "admin.address=127.0.0.1:0", "--json")
    with subprocess.Popen(
        [*SOTTOVOCE, "serve", directory, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        ran = sottovoce("status", f"http://{told['admin']}", "--json")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["listeners"][0]["address"] == told["addresses"]["listener"]


def test_another_admin_address_waits_for_a_restart() -> None:
    running, fresh = build({}), build({"admin": {"address": "127.0.0.1:9444"}})
    settled, waiting = settle(running, fresh)
    assert (settled.admin, waiting) == (running.admin, ("admin",))


def test_who_reads_nothing_does_not_keep_the_proxy_from_ending(directory: Path) -> None:
    with running_proxy(directory) as proxy:
        host, _, port = proxy.admin.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: local")
            assert proxy.stop() == 0
