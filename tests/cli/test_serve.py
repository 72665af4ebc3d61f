"""What keeps `serve` from starting: each is one line that names the thing and the remedy, and nothing is half-done."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Ran
from tests.running import make_directory


def refused(cli: Cli, directory: Path, *words: str) -> str:
    """Run `serve`, which must refuse; give its line."""
    ran: Ran = cli("serve", directory, "--set", "log.format=json", *words)
    assert (ran.code, ran.out) == (1, "")
    assert not (directory / "run/ready").exists()
    return ran.said


def test_without_the_token(cli: Cli, directory: Path) -> None:
    shutil.move(directory / "hsm/tokens", directory / "hsm/away")
    assert refused(cli, directory) == (
        f"{directory}/hsm/tokens is missing, and the token with it: restore it from its backup"
    )


def test_with_an_empty_token_directory(cli: Cli, directory: Path) -> None:
    shutil.rmtree(directory / "hsm/tokens")
    (directory / "hsm/tokens").mkdir()
    said = refused(cli, directory)
    assert "'sottovoce'" in said
    assert ": " in said


def test_with_the_token_of_another_directory(cli: Cli, directory: Path, tmp_path: Path) -> None:
    """The label is the same, the keys are not."""
    other = make_directory(tmp_path, name="other")
    shutil.rmtree(directory / "hsm/tokens")
    shutil.copytree(other / "hsm/tokens", directory / "hsm/tokens")
    shutil.copy(other / "secrets/pin", directory / "secrets/pin")
    assert ": restore both" in refused(cli, directory)


def test_with_a_wrong_pin(cli: Cli, directory: Path) -> None:
    (directory / "secrets/pin").write_text("1234567890\n")
    said = refused(cli, directory)
    assert said.startswith(f"the PIN in {directory}/secrets/pin does not open token 'sottovoce'")
    assert "1234567890" not in said


def test_with_a_pin_file_that_is_open_to_others(cli: Cli, directory: Path) -> None:
    (directory / "secrets/pin").chmod(0o640)
    pin = f"{directory}/secrets/pin"
    assert refused(cli, directory) == f"hsm.pin_file: {pin} is open to others (mode 0640); chmod 600 {pin}"


def test_with_a_pin_file_that_is_empty(cli: Cli, directory: Path) -> None:
    (directory / "secrets/pin").write_text("\n")
    assert refused(cli, directory).startswith(f"the PIN file {directory}/secrets/pin is empty or too long: put the ")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("secrets/pin", "hsm.pin_file"),
        ("hsm/softhsm2.conf", "hsm.softhsm_config"),
        ("certs/ca.pem", "certs/ca.pem"),
        ("certs/issuing.pem", "certs/issuing.pem"),
        ("certs/anchor.json", "certs/anchor.json"),
        ("keys/serving.mldsa65.json", "keys/serving.mldsa65.json"),
        ("keys/anchor.mldsa87.json", "keys/anchor.mldsa87.json"),
    ],
)
def test_without_a_file(cli: Cli, directory: Path, name: str, key: str) -> None:
    (directory / name).unlink()
    said = refused(cli, directory)
    assert said.startswith(f"{key}: ")
    assert f"{directory}/{name} cannot be read (No such file or directory)" in said
    assert "; restore it from its backup" in said
    assert cli("check", directory).code == 1


@pytest.mark.parametrize("name", ["certs/issuing.pem", "certs/anchor.json", "keys/serving.mldsa65.json"])
def test_with_a_damaged_file(cli: Cli, directory: Path, name: str) -> None:
    (directory / name).write_text('{"nonsense": 1')
    said = refused(cli, directory)
    assert f"{directory}/{name}" in said
    assert "restore it from its backup" in said or "ask the operator" in said


def test_with_a_seed_that_was_changed(cli: Cli, directory: Path) -> None:
    seed = directory / "keys/serving.mldsa65.json"
    text = seed.read_text()
    at = text.rindex('"') - 8
    seed.write_text(text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :])
    assert f"the sealed seed {seed} does not open under this token's key: restore both" in refused(cli, directory)


def test_with_a_damaged_audit_log(cli: Cli, directory: Path) -> None:
    log = directory / "audit/audit.log"
    before = log.read_bytes().replace(b"root_ca", b"root_cb", 1)
    log.write_bytes(before)
    assert refused(cli, directory).startswith(f"audit log {log}, line ")
    assert log.read_bytes() == before


def test_on_a_busy_port(cli: Cli, directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        said = refused(cli, directory, "--set", f"listener.address={address}")
    assert said == (
        f"listener.address: cannot listen on {address} (Address already in use): "
        f"pid {os.getpid()} ({Path('/proc/self/comm').read_text().strip()}) listens there: "
        f"choose another port, or end it (kill {os.getpid()})"
    )
    tail = cli("audit", "tail", directory, "--json").json["records"]
    *_, loaded, started, leaf, voice, made, erased = [record["event"] for record in tail]
    assert (loaded, started, leaf, voice) == (
        "configuration_loaded",
        "token_started",
        "certificate_issued",
        "certificate_issued",
    )
    assert (made, erased) == ("ticket_key_created", "ticket_key_erased")


def test_on_an_address_of_another_machine(cli: Cli, directory: Path) -> None:
    said = refused(cli, directory, "--set", "listener.address=192.0.2.1:1")
    assert said.startswith("listener.address: cannot listen on 192.0.2.1:1 (Cannot assign requested address): ")


@pytest.mark.parametrize("name", ["OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE"])
def test_with_a_variable_that_changes_tls(
    cli: Cli, directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(directory / "x"))
    assert refused(cli, directory) == (
        f"process.allow_tls_environment: the environment variable {name} is set, which changes or records TLS from "
        "outside; unset it, or set this to true"
    )


def test_with_a_ready_file_where_none_can_be(cli: Cli, directory: Path) -> None:
    (directory / "here").write_text("")
    said = refused(cli, directory, "--set", "process.ready_file=here/ready")
    assert said.startswith(f"process.ready_file: {directory}/here/ready cannot be written (")
    assert said.endswith("; give a path in a directory that may be written to")


def test_with_a_ready_file_whose_name_leaves_no_room_for_the_sockets(cli: Cli, directory: Path) -> None:
    name = "a" * 90
    said = refused(cli, directory, "--set", f"process.ready_file=run/{name}")
    socket_path = f"{directory}/run/{name}.control"
    assert said == f"process.ready_file: {socket_path} cannot be made (AF_UNIX path too long); give a shorter name"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("voice.epoch_seconds=1", "voice.epoch_seconds: is 1, out of range; write a whole number from 2 to 3600"),
        ("voice.nonsense=1", "voice.nonsense: there is no such key; known here: epoch_seconds, messages_per_key"),
        ("routes.b.adapter=raw", 'routes.b.url: raw needs a backend; write url = "ws://127.0.0.1:PORT" or a wss://'),
        ('identity.names=["a b"]', "identity.names: 'a b' is no host name or IP address; write names as A-labels"),
        ("clients.file=none.toml", "clients.file: the clients file "),
        ("hsm.module=none.so", "hsm.module: "),
        ("hsm.module=sottovoce.toml", "is no usable PKCS#11 library ("),
    ],
)
def test_with_a_configuration_that_cannot_be(cli: Cli, directory: Path, change: str, said: str) -> None:
    assert said in refused(cli, directory, "--set", change)


def test_where_there_is_nothing(cli: Cli, tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert refused(cli, none) == f"{none}: there is no such directory; make it with: sottovoce init {none}"
    assert not none.exists()


def test_with_several_problems_each_is_a_line(cli: Cli, directory: Path) -> None:
    (directory / "secrets/pin").unlink()
    (directory / "certs/anchor.json").unlink()
    ran = cli("serve", directory)
    assert ran.code == 1
    assert [line.split(": ")[1] for line in ran.err.splitlines()] == ["hsm.pin_file", "certs/anchor.json"]
