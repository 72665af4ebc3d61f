"""`serve` as it is run: a process of its own, over a directory as `init` makes it."""

import hashlib
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest
import trio

from sottovoce.app.wav import make_tone, read_wav
from sottovoce.client import AuthFailed, Draining, connect, trust_from_directory
from tests.recordings import write_recording
from tests.running import ROOMY, ROOT, SOTTOVOCE, RunningProxy, copy_directory, environment, running_proxy, sottovoce
from tests.shows.calls import next_frame

pytestmark = pytest.mark.interop(tool="softhsm2-util")
PATIENCE_SECONDS = 60


@contextmanager
def ends(pid: int) -> Generator[None]:
    """See to it that a process which is there now has ended, or soon does, when the block is over."""
    descriptor = os.pidfd_open(pid)
    try:
        yield
        assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], f"process {pid} is still there"
    finally:
        os.close(descriptor)


def token_pid(proxy: RunningProxy) -> int:
    return proxy.events("token.started")[-1]["pid"]


def limits_of(pid: int) -> dict[str, tuple[str, str]]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): (line[26:46].strip(), line[47:67].strip()) for line in lines}


@pytest.fixture
def directory(made_directory: Path, tmp_path: Path) -> Path:
    """A copy that listens on a free port."""
    directory = copy_directory(made_directory, tmp_path)
    text = '[listener]\naddress = "127.0.0.1:0"\n[admin]\naddress = "127.0.0.1:0"\n'
    (directory / "sottovoce.toml").write_text(text)
    return directory


def test_ready_is_one_event_and_one_file_exactly_as_long_as_calls_can_come(directory: Path) -> None:
    ready = directory / "run/ready"
    with running_proxy(directory) as proxy:
        (event,) = proxy.events("proxy.ready")
        assert event["addresses"] == {"listener": f"127.0.0.1:{proxy.port}"}
        assert event["pq"] == {"listener": "prefer"}
        assert event["routes"] == ["echo"]
        assert event["pid"] == proxy.pid
        assert ready.read_text() == f"127.0.0.1:{proxy.port}\n"
        assert {path.name for path in ready.parent.iterdir()} == {"ready", "ready.control"}
        assert proxy.stop() == 0
        assert not ready.exists()
    names = [event["event"] for event in proxy.events()]
    assert names[-2:] == ["proxy.draining", "proxy.stopped"]


def test_addresses_that_cannot_be_printed_end_the_start_and_leave_no_ready_file(directory: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*SOTTOVOCE, "serve", directory, "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(),
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr.splitlines()[-1]
    assert list((directory / "run").iterdir()) == []


def test_it_may_open_many_files_leaves_no_core_and_is_closed_to_tracers(directory: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with running_proxy(directory) as proxy:
            limits = limits_of(proxy.pid)
            assert limits["Max open files"] == (str(hard), str(hard))
            for pid in (proxy.pid, token_pid(proxy)):
                assert limits_of(pid)["Max core file size"] == ("0", "0")
                # Of a process that is not dumpable, root owns what lies in /proc, whoever it runs as.
                assert Path(f"/proc/{pid}/environ").stat().st_uid == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_told_to_stop_it_tells_calls_to_go_elsewhere_and_ends_well(directory: Path) -> None:
    with running_proxy(directory) as proxy:
        trust = trust_from_directory(directory)
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(Draining) as caught:  # noqa: PT012  a call's whole life
            async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca) as call:
                await call.send(bytes(640))
                await anext(call)
                proxy.process.send_signal(signal.SIGTERM)
                async for _ in call:
                    pass
        assert caught.value.code == 4460
        assert await trio.to_thread.run_sync(proxy.process.wait, PATIENCE_SECONDS) == 0
    (draining,), (stopped,) = proxy.events("proxy.draining"), proxy.events("proxy.stopped")
    assert draining["calls"] == 1
    assert stopped["batches_served"] == stopped["roots_signed"] == 1
    (ended,) = proxy.events("session.ended")
    assert (ended["code"], ended["side"], ended["truncated"]) == (4460, "proxy", False)
    assert sottovoce("audit", "verify", directory).returncode == 0


def test_ctrl_c_stops_it_as_well(directory: Path) -> None:
    with running_proxy(directory) as proxy, ends(token_pid(proxy)):
        assert proxy.stop(signal.SIGINT) == 0


def told_to_stop_at_the_start(directory: Path) -> tuple[int, bytes]:
    """Give its exit code and what it said."""
    command = [*SOTTOVOCE, "serve", str(directory), "--set", "log.format=json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stderr is not None
        assert b"configuration.loaded" in process.stderr.readline()
        process.terminate()
        said = process.stderr.read()
        code = process.wait()
    assert b"Traceback" not in said
    assert not (directory / "run/ready").exists()
    return code, said


def test_told_to_stop_while_it_starts_it_leaves_nothing(directory: Path) -> None:
    code, said = told_to_stop_at_the_start(directory)
    for _ in range(4):
        if b"proxy.ready" in said:  # on a busy machine it may have started before it was told
            code, said = told_to_stop_at_the_start(directory)
    assert code == 128 + signal.SIGTERM
    assert sottovoce("audit", "verify", directory).returncode == 0


def test_a_second_one_on_the_same_directory_is_refused_and_the_first_goes_on(directory: Path, tmp_path: Path) -> None:
    with running_proxy(directory) as proxy:
        second = sottovoce("serve", directory, "--set", "log.format=json")
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"sottovoce: audit log {directory}/audit/audit.log is being written by another process: "
            "stop that one, or give this one a directory of its own\n"
        )
        assert (directory / "run/ready").exists()
        wav = write_recording(tmp_path / "x.wav")
        assert sottovoce("call", f"{proxy.url}/echo", wav, "--dir", directory).returncode == 0


def test_killed_it_leaves_no_token_process_and_the_directory_serves_again(directory: Path, tmp_path: Path) -> None:
    with running_proxy(directory) as proxy, ends(token_pid(proxy)):
        assert proxy.stop(signal.SIGKILL) == -signal.SIGKILL
        assert (directory / "run/ready").exists()
    refused = sottovoce("serve", directory, "--set", "listener.address=192.0.2.1:1")
    assert refused.returncode == 1
    assert not (directory / "run/ready").exists()  # the next one removes what the killed one left, served or not
    with running_proxy(directory) as proxy:
        wav = write_recording(tmp_path / "x.wav")
        assert sottovoce("call", f"{proxy.url}/echo", wav, "--dir", directory).returncode == 0


def test_a_call_that_is_killed_is_told_as_cut_off(directory: Path, tmp_path: Path) -> None:
    wav = write_recording(tmp_path / "x.wav", seconds=60)
    out = tmp_path / "out.wav"
    with running_proxy(directory) as proxy:
        command = [*SOTTOVOCE, "call", f"{proxy.url}/echo", str(wav), "--dir", str(directory), "--out", str(out)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as call:
            wait_for(proxy, "session.established")
            proxy.stop(signal.SIGKILL)
            assert call.wait(PATIENCE_SECONDS) == 1
            assert call.stderr is not None
            (line,) = call.stderr.read().splitlines()
    assert line.startswith("sottovoce: the call was cut off: ")
    assert line.endswith("; what was said last may be missing: call again")
    assert not out.exists()


def wait_for(proxy: RunningProxy, event: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not proxy.events(event):
        assert time.monotonic() < give_up_at, event
        time.sleep(0.02)  # another process writes the log


def test_every_fixed_name_can_be_set_and_every_listener_called(directory: Path, tmp_path: Path) -> None:
    sets = (
        "listener.address=127.0.0.1:0",
        "listener.pq=require",
        "listeners.second.address=[::1]:0",
        "listeners.second.pq=off",
        "voice.epoch_seconds=60",
        "voice.messages_per_key=16",
        "voice.padding=0",
        "voice.reauthenticate_every=0",
        "routes.echo.adapter=echo",
        "routes.other.adapter=raw",
        "routes.other.url=ws://127.0.0.1:1/",
        "admin.address=127.0.0.1:0",
    )
    wav = write_recording(tmp_path / "x.wav", seconds=0.5)
    with running_proxy(directory, *sets) as proxy:
        (event,) = proxy.events("proxy.ready")
        assert event["addresses"] == dict(zip(("listener", "listeners.second"), proxy.addresses, strict=True))
        assert event["pq"] == {"listener": "require", "listeners.second": "off"}
        assert event["routes"] == ["echo", "other"]
        for address, group in zip(proxy.addresses, ("X25519MLKEM768", "X25519"), strict=True):
            ran = sottovoce("call", f"wss://{address}/echo", wav, "--dir", directory)
            assert ran.returncode == 0, ran.stderr
            assert f"TLS group  {group}\n" in ran.stdout
            assert "1 epoch, 2 generations" in ran.stdout
        ran = sottovoce("call", f"{proxy.url}/other", wav, "--dir", directory)
        assert ran.returncode == 1
        assert "4450 backend_down" in ran.stderr


def test_clients_without_a_token_are_refused_where_one_is_wanted(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-with-128-bits-of-chance\n")
    digest = hashlib.sha256(b"a-token-with-128-bits-of-chance").hexdigest()
    tokens = (
        f'[[client]]\nname = "kiosk"\ntoken_sha256 = "{digest}"\naudience = ["localhost:PORT"]\nroutes = ["echo"]\n'
    )
    sets = ("clients.file=clients.toml", "clients.require_credential=true")
    (directory / "clients.toml").write_text(tokens)
    with running_proxy(directory, *sets) as proxy:
        (directory / "clients.toml").write_text(tokens.replace("PORT", str(proxy.port)))
        wait_for(proxy, "clients.loaded")
        words = ("call", f"{proxy.url}/echo", write_recording(tmp_path / "x.wav"), "--dir", directory)
        without, with_token = sottovoce(*words), sottovoce(*words, "--token-file", tmp_path / "token")
        assert (without.returncode, with_token.returncode) == (1, 0)
        assert len(without.stderr.splitlines()) == 1
        (established,) = proxy.events("session.established")
        assert established["identity"] == "kiosk"
        assert "a-token-with" not in proxy.log.read_text()


async def test_a_tls_certificate_is_renewed_and_no_call_notices(directory: Path) -> None:
    with running_proxy(directory, program="tests.app.hurried") as proxy:
        trust = trust_from_directory(directory)
        async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca) as call:
            wanted = len(proxy.events("leaf.issued")) + 2
            frames = cycle(make_tone(1).frames(20))
            with trio.fail_after(60):
                while len(proxy.events("leaf.issued")) < wanted:
                    frame = next(frames)
                    await call.send(frame)
                    assert await next_frame(call) == frame
                    await trio.sleep(0.02)
        assert call.ended is not None
        assert (call.ended.code, call.ended.truncated) == (1000, False)
        async with connect(f"{proxy.url}/echo", anchor=trust.anchors, ca=trust.ca):
            pass  # the new certificate serves
        serials = [event["serial"] for event in proxy.events("leaf.issued")]
    assert len(set(serials)) == len(serials)
    assert len(proxy.events("voice_certificate.issued")) == 1
    audited = (directory / "audit/audit.log").read_text()
    assert all(f'"serial":"{serial}"' in audited for serial in serials)


def test_an_expired_certificate_is_one_line_at_the_client(tmp_path: Path) -> None:
    directory = tmp_path / "voice"
    subprocess.run(
        [sys.executable, "-m", "tests.app.long_ago", "init", str(directory), "--port", "0"],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env=environment(),
    )
    with running_proxy(directory, program="tests.app.long_ago") as proxy:
        ran = sottovoce("call", f"{proxy.url}/echo", "--tone", "--dir", directory)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"sottovoce: the TLS certificate of localhost:{proxy.port} is not accepted (expired); "
            "check this machine's clock; if it is right, the operator has to renew the certificate\n"
        )


async def test_another_s_anchor_is_refused_though_tls_agrees(directory: Path, made_directory: Path) -> None:
    """A directory whose anchor file was swapped for another's is one that its clients do not believe."""
    import msgspec  # noqa: PLC0415  for this anchor alone

    trust = trust_from_directory(made_directory)
    (anchor,) = trust.anchors
    wrong = msgspec.structs.replace(anchor, authorities=("elsewhere.example",))
    with running_proxy(directory) as proxy, pytest.raises(AuthFailed):
        async with connect(f"{proxy.url}/echo", anchor=(wrong,), ca=trust.ca):
            pass


def test_a_call_of_another_process_goes_through_several_epochs(directory: Path, tmp_path: Path) -> None:
    speech = ROOT / "loadtest/audio/speech-16k.wav"
    out = tmp_path / "back.wav"
    with running_proxy(directory, "voice.epoch_seconds=5", ROOMY) as proxy:
        ran = sottovoce("call", f"{proxy.url}/echo", speech, "--dir", directory, "--out", out)
        assert (ran.returncode, ran.stderr) == (0, "")
        said = re.search(r"(\d+) epochs, (\d+) generations", ran.stdout)
        assert said is not None, ran.stdout
        epochs, generations = map(int, said.groups())
        assert generations == epochs >= 2
        assert "300 sent, 300 back, 0 lost" in ran.stdout
        assert proxy.stop() == 0
    assert read_wav(out) == read_wav(speech)
    (stopped,) = proxy.events("proxy.stopped")
    assert stopped["batches_served"] == stopped["roots_signed"] >= epochs
