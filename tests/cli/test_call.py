import re
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from loadtest.peers.servers.processes import free_port
from tests.cli.conftest import Cli
from tests.recordings import cut_short, samples_of, write_float_wav, write_recording
from tests.running import (
    SOTTOVOCE,
    RunningProxy,
    copy_directory,
    environment,
    make_directory,
    running_proxy,
    sottovoce,
)
from tests.transport.certificates import Authority, pem_of


@pytest.fixture(scope="module")
def proxy(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    with running_proxy(copy_directory(made, tmp_path_factory.mktemp("proxy"))) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of somebody else."""
    return make_directory(tmp_path_factory.mktemp("other"))


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "in.wav")


# --- calls ----------------------------------------------------------------------------------------------------------


def test_a_call_brings_the_recording_back_and_says_how_it_went(
    cli: Cli, proxy: RunningProxy, wav: Path, tmp_path: Path
) -> None:
    ran = cli("call", f"{proxy.url}/echo", wav, "--dir", proxy.directory, "--out", tmp_path / "back.wav")
    assert (ran.code, ran.err) == (0, "")
    words = {line.split(maxsplit=1)[0]: line for line in ran.out.splitlines()}
    assert list(words) == ["handshake", "TLS", "suite", "signed", "keys", "frames", "latency"]
    assert "X25519MLKEM768" in words["TLS"]
    assert "X25519MLKEM768_AES256GCM" in words["suite"]
    assert "ECDSA_P384 + MLDSA65" in words["signed"]
    assert "1 epoch, 1 generation" in words["keys"]
    assert "10 sent, 10 back, 0 lost" in words["frames"]
    assert all(name in words["latency"] for name in ("p50", "p90", "p99"))
    assert samples_of(tmp_path / "back.wav") == samples_of(wav)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("frame_ms", ["10", "60"])
def test_every_rate_can_be_called_with(cli: Cli, proxy: RunningProxy, tmp_path: Path, rate: int, frame_ms: str) -> None:
    wav = write_recording(tmp_path / "in.wav", rate=rate, seconds=0.13)
    words = ("--dir", proxy.directory, "--frame-ms", frame_ms, "--out", tmp_path / "out.wav", "--json")
    ran = cli("call", f"{proxy.url}/echo", wav, *words)
    assert ran.code == 0
    assert ran.json["frames_lost"] == 0
    assert samples_of(tmp_path / "out.wav") == samples_of(wav)


def test_the_json_has_the_figures(cli: Cli, proxy: RunningProxy, wav: Path) -> None:
    found = cli("call", f"{proxy.url}/echo", wav, "--dir", proxy.directory, "--json").json
    assert found["ok"] is True
    assert found["error"] is None
    assert found["ended"] == {"code": 1000, "name": "normal"}
    assert (found["frames_sent"], found["frames_returned"], found["frames_lost"]) == (10, 10, 0)
    assert found["server_signatures"] == ["ECDSA_P384", "MLDSA65"]
    assert set(found["latency_ms"]) == {"p50", "p90", "p99", "max"}
    assert found["latency_ms"]["p50"] > 0
    assert len(found["session"]) == 32


def test_anchor_and_ca_may_be_named_apart_and_the_path_in_full(cli: Cli, proxy: RunningProxy, wav: Path) -> None:
    certificates = proxy.directory / "certs"
    words = ("--anchor", certificates / "anchor.json", "--ca", certificates / "ca.pem", "--no-echo")
    assert cli("call", f"{proxy.url}/v1/voice/echo", wav, *words).code == 0


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ws://localhost:1/echo", "ws:// has no TLS, and a call is made over TLS only; use wss://"),
        ("https://localhost:1/echo", "the URL does not begin with wss://; write it as wss://host:port/route"),
        ("wss://localhost:1", "the URL's path is not /route or /v1/voice/route; write it as wss://host:port/route"),
        ("wss://u:p@localhost:1/echo", "the URL holds a user name or password, which would reach logs; give a token"),
        ("wss://localhost:1/echo", "cannot reach localhost:1: Connection refused; check host and port, and that the"),
        ("wss://localhost:99999/echo", "the URL has a host or port that is none; write it as wss://host:port/route"),
    ],
)
def test_an_address_that_cannot_be_called(cli: Cli, made: Path, url: str, said: str) -> None:
    ran = cli("call", url, "--tone", "--dir", made)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said.startswith(said)


def test_an_unknown_route_is_named_as_such(cli: Cli, proxy: RunningProxy, wav: Path) -> None:
    ran = cli("call", f"{proxy.url}/nonsense", wav, "--dir", proxy.directory)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said.endswith("HTTP status 404; there is no such route: check the path of the URL")


def test_another_s_directory_is_not_trusted(cli: Cli, proxy: RunningProxy, other: Path, wav: Path) -> None:
    ran = cli("call", f"{proxy.url}/echo", wav, "--dir", other)
    assert (ran.code, ran.out) == (1, "")
    said = f"the TLS certificate of localhost:{proxy.port} is not accepted (unknown ca); give the server's CA file"
    assert ran.said.startswith(said)


def test_another_s_anchor_is_not_believed(cli: Cli, proxy: RunningProxy, other: Path, wav: Path) -> None:
    ca = proxy.directory / "certs/ca.pem"
    ran = cli("call", f"{proxy.url}/echo", wav, "--anchor", other / "certs/anchor.json", "--ca", ca, "--json")
    assert ran.code == 1
    assert ran.said.startswith("the server did not prove that it is the one you trust (4401 auth_failed: ")
    assert ran.json["code"] == 4401


def test_what_does_not_speak_tls_is_not_called(cli: Cli, made: Path, wav: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.recv(65536)

        thread = threading.Thread(target=answer)
        thread.start()
        ran = cli("call", f"wss://localhost:{server.getsockname()[1]}/echo", wav, "--dir", made)
        thread.join()
    assert ran.code == 1
    assert ran.said.startswith("no TLS with localhost:")
    assert ran.said.endswith("; check host and port: something else listens there")


def test_files_that_are_not_there(cli: Cli, made: Path, tmp_path: Path) -> None:
    url = "wss://localhost:1/echo"
    none = tmp_path / "none"
    missing = "No such file or directory"
    for words, said in (
        (("--tone", "--dir", none), f"{none}/certs/anchor.json: {missing}; "),
        (("--tone", "--anchor", none), f"{none}: {missing}; the server's operator hands out anchor.json"),
        (("--tone", "--dir", made, "--ca", none), f"{none}: {missing}; it is certs/ca.pem in the server's directory"),
        (("--tone", "--dir", made, "--token-file", none), f"{none}: {missing}; have a token issued and put into this"),
        ((none, "--dir", made), f"{none} cannot be read ({missing}): give the path of a WAV file"),
        (("--tone", "--dir", made, "--out", none / "x.wav"), f"{none}/x.wav cannot be written ({missing}): give "),
        (("--tone", "--dir", made, "--out", tmp_path), f"{tmp_path} is a directory: give the path of a file"),
    ):
        ran = cli("call", url, *words)
        assert (ran.code, ran.out) == (1, "")
        assert ran.said.startswith(said)


def test_a_damaged_anchor_or_ca_is_named(cli: Cli, directory: Path) -> None:
    for name in ("certs/ca.pem", "certs/anchor.json"):
        (directory / name).write_text("nonsense")
        ran = cli("call", "wss://localhost:1/echo", "--tone", "--dir", directory)
        assert ran.code == 1
        assert "; " in ran.said or ": it must be PEM text" in ran.said


def test_a_token_is_never_repeated(cli: Cli, made: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two words-hunter2")
    ran = cli("call", "wss://localhost:1/echo", "--tone", "--dir", made, "--token-file", tmp_path / "token", "--json")
    assert ran.code == 1
    assert "hunter2" not in ran.out + ran.err
    assert ran.said.startswith(f"{tmp_path}/token is not a token")


# --- recordings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ({"channels": 2}, "2 channels, 16 bits, 16000 Hz"),
        ({"sample_bytes": 1}, "1 channel, 8 bits, 16000 Hz"),
        ({"sample_bytes": 3}, "1 channel, 24 bits, 16000 Hz"),
        ({"rate": 44_100}, "1 channel, 16 bits, 44100 Hz"),
    ],
)
def test_a_recording_of_another_shape_is_answered_with_the_command_that_converts_it(
    cli: Cli, made: Path, tmp_path: Path, shape: dict[str, int], found: str
) -> None:
    wav = write_recording(tmp_path / "my call.wav", **shape)
    ran = cli("call", "wss://localhost:1/echo", wav, "--dir", made)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said == (
        f"{wav} has {found}; a call carries mono, 16 bits, 8, 16, 24 or 48 kHz: "
        f"sox '{wav}' -b 16 -c 1 -r 16000 converted.wav"
    )


def test_what_is_no_usable_wav_is_answered_so_too(cli: Cli, made: Path, tmp_path: Path) -> None:
    mp3 = tmp_path / "x.mp3"
    mp3.write_bytes(b"ID3\x04" + bytes(500))
    nothing = tmp_path / "nothing.wav"
    nothing.write_bytes(b"")
    short = cut_short(write_recording(tmp_path / "short.wav"), 101)
    for path, said in (
        (mp3, "is no PCM WAV file"),
        (nothing, "is no PCM WAV file"),
        (write_float_wav(tmp_path / "float.wav"), "is no PCM WAV file"),
        (short, "is cut short, 6299 of 6400 bytes are there"),
    ):
        ran = cli("call", "wss://localhost:1/echo", path, "--dir", made)
        assert (ran.code, ran.out) == (1, "")
        assert ran.said == f"{path} {said}: sox {path} -b 16 -c 1 -r 16000 converted.wav"
    silent = write_recording(tmp_path / "silent.wav", seconds=0)
    ran = cli("call", "wss://localhost:1/echo", silent, "--dir", made)
    assert ran.said == f"{silent} holds no audio: give a recording of at least one frame"


# --- who calls ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    """A proxy that wants to know who calls: `kiosk.token`, `kiosk.key`, and `kiosk.pem` with `kiosk-tls.key` do."""
    directory = copy_directory(made, tmp_path_factory.mktemp("guarded"))
    authority = Authority("our clients")
    certificate, key = pem_of(authority.issue("kiosk-9", usage=ExtendedKeyUsageOID.CLIENT_AUTH))
    (directory / "clients-ca.pem").write_bytes(authority.pem)
    (directory / "kiosk.pem").write_bytes(certificate)
    (directory / "kiosk-tls.key").write_bytes(key)
    (directory / "kiosk-tls.key").chmod(0o600)
    made_key = sottovoce("clients", "keygen", "--out", directory / "kiosk.key")
    (directory / "kiosk.pub").write_text(made_key.stdout)
    port = free_port()  # clients' entries name it
    where = ("--route", "echo", "--audience", f"localhost:{port}")
    for words in (("--token", "--out", directory / "kiosk.token"), ("--key", directory / "kiosk.pub")):
        added = sottovoce("clients", "add", directory, "kiosk", *words, *where)
        assert added.returncode == 0, added.stderr
    sets = ("clients.require_credential=true", "clients.ca_file=clients-ca.pem", f"listener.address=127.0.0.1:{port}")
    with running_proxy(directory, *sets) as proxy:
        yield proxy


@pytest.mark.parametrize(
    "shown",
    [
        ("--token", "kiosk.token"),
        ("--token-file", "kiosk.token"),
        ("--key", "kiosk.key"),
        ("--cert", "kiosk.pem", "--cert-key", "kiosk-tls.key"),
    ],
)
def test_a_client_shows_who_it_is(cli: Cli, guarded: RunningProxy, wav: Path, shown: tuple[str, ...]) -> None:
    words = [word if word.startswith("--") else guarded.directory / word for word in shown]
    ran = cli("call", f"{guarded.url}/echo", wav, "--dir", guarded.directory, "--json", *words)
    assert ran.code == 0, ran.err
    assert ran.json["frames_lost"] == 0


def test_a_token_may_come_from_standard_input(guarded: RunningProxy, wav: Path) -> None:
    words = [*SOTTOVOCE, "call", f"{guarded.url}/echo", str(wav), "--dir", str(guarded.directory), "--token", "-"]
    with (guarded.directory / "kiosk.token").open("rb") as token:
        done = subprocess.run(words, stdin=token, capture_output=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr


def test_without_a_credential_or_with_another_one_it_is_refused(
    cli: Cli, guarded: RunningProxy, wav: Path, tmp_path: Path
) -> None:
    key = tmp_path / "other.key"
    assert sottovoce("clients", "keygen", "--out", key).returncode == 0
    for shown, code in (((), 4403), (("--key", key), 4401)):
        ran = cli("call", f"{guarded.url}/echo", wav, "--dir", guarded.directory, "--json", "--reconnect", *shown)
        assert (ran.code, ran.json["code"]) == (1, code)


@pytest.mark.parametrize(
    "words",
    [
        ("--token", "a", "--key", "b"),
        ("--token", "a", "--cert", "b", "--cert-key", "c"),
        ("--key", "a", "--cert", "b", "--cert-key", "c"),
        ("--cert", "a"),
        ("--cert-key", "a"),
    ],
)
def test_one_credential_and_a_certificate_with_its_key(cli: Cli, made: Path, words: tuple[str, ...]) -> None:
    ran = cli("call", "wss://localhost:1/echo", "--tone", "--dir", made, *words)
    assert ran.code == 2
    assert "give one of --token, --key, and --cert with --cert-key" in ran.err


def test_a_key_that_others_can_read_is_refused_before_anything_is_sent(cli: Cli, made: Path, tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    assert sottovoce("clients", "keygen", "--out", key).returncode == 0
    key.chmod(0o644)
    ran = cli("call", "wss://localhost:1/echo", "--tone", "--dir", made, "--key", key)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said == f"{key} holds a private key and is open to others; chmod 600 {key}"


# --- a backend that says nothing ------------------------------------------------------------------------------------

_MUTE = """
import asyncio
from sottovoce.backend.asyncio import serve

async def bot(call):
    async for item in call:
        pass

asyncio.run(serve(bot, "127.0.0.1", 0, ready=lambda url: print(url, flush=True)))
"""


@pytest.fixture(scope="module")
def mute(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProxy]:
    """A proxy whose route `mute` leads to a bot that listens only."""
    with subprocess.Popen([sys.executable, "-c", _MUTE], stdout=subprocess.PIPE, text=True) as bot:
        assert bot.stdout is not None
        url = bot.stdout.readline().strip()
        directory = copy_directory(made, tmp_path_factory.mktemp("mute"))
        try:
            with running_proxy(directory, "routes.mute.adapter=raw", f"routes.mute.url={url}") as proxy:
                yield proxy
        finally:
            bot.kill()


def silent_seconds(said: str) -> float:
    told = re.search(r"\bnothing came back in (\d+\.\d)", said)
    assert told is not None, said
    return float(told[1])


def test_a_backend_that_says_nothing_is_told_in_words(cli: Cli, mute: RunningProxy, wav: Path) -> None:
    words = ("call", f"{mute.url}/mute", wav, "--dir", mute.directory)
    ran = cli(*words)
    assert ran.code == 1
    assert silent_seconds(ran.said) >= 3
    assert "the backend took the call and said nothing; see its own log" in ran.said
    assert "10 sent, 0 back, 10 lost" in ran.out
    found = cli(*words, "--json").json
    assert found["ok"] is False
    assert silent_seconds(found["error"]) >= 3
    assert found["backend_silent_seconds"] > 3


def test_where_nothing_need_come_back_it_is_said_after_five_seconds(
    cli: Cli, mute: RunningProxy, tmp_path: Path
) -> None:
    wav = write_recording(tmp_path / "long.wav", seconds=6.5)
    ran = cli("call", f"{mute.url}/mute", wav, "--no-echo", "--dir", mute.directory)
    assert (ran.code, ran.err) == (0, "")
    words_of_silence = ran.out.splitlines()[-1]
    assert words_of_silence.startswith("  backend    nothing came back in ")
    assert silent_seconds(words_of_silence) >= 5
    assert words_of_silence.endswith("sottovoce explain backend.silent")
    status = cli("status", mute.admin)
    assert "mute" in status.out
    assert "it said nothing in 5 s" in status.out
