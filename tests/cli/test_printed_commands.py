"""The commands that documents and messages print, run as they stand there, with our names for hosts and ports."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.peers.servers.processes import free_port
from tests.cli.conftest import Cli
from tests.running import ROOT, START_SECONDS, environment, running_proxy

pytestmark = pytest.mark.interop(tool="softhsm2-util")
_PROGRAMS = Path(sys.executable).parent


def shell(line: str, cwd: Path) -> str:
    """Run a line as a person would who has `.venv/bin` on the PATH; give what it prints.  It must succeed."""
    path = f"{_PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        ["sh", "-c", line], cwd=cwd, env=environment(PATH=path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@contextmanager
def in_the_background(line: str, cwd: Path, ready: Path) -> Generator[None]:
    """Run a line that does not end by itself, until the block is over; it must end well then."""
    path = f"{_PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    with subprocess.Popen(
        ["sh", "-c", f"exec {line}"], cwd=cwd, env=environment(PATH=path), stderr=subprocess.DEVNULL
    ) as process:
        try:
            shell(f"until [ -s {ready} ]; do sleep 0.05; done", cwd)
            yield
            process.terminate()
            assert process.wait(START_SECONDS) == 0
        finally:
            process.kill()


def lines_of(document: str) -> list[str]:
    """Give the lines that a document has for what one does next, in their order, without comments."""
    text = (ROOT / document).read_text().partition("## What you do next")[2]
    found = re.findall(r"^(sottovoce (?:init|serve|check|call|audit|status) [^#\n│═]+)", text, re.MULTILINE)
    return [line.strip() for line in found]


def test_what_the_readme_says_to_do_next(tmp_path: Path) -> None:
    port = free_port()
    init, serve, *rest = [line.replace("8443", str(port)) for line in lines_of("README.md")]
    assert [line.split()[1] for line in (init, serve, *rest)] == [
        *("init", "serve", "call", "check", "audit", "audit", "status")
    ]
    said = shell(f"{init} --port {port} --admin-port {free_port()}", tmp_path).splitlines()
    assert f"next:  {serve}" in said
    assert f"       {rest[0].strip()}" in said
    with in_the_background(serve, tmp_path, tmp_path / "voice/run/ready"):
        for line in rest:
            assert shell(line, tmp_path)


@pytest.mark.interop(tool="openssl")
def test_the_ceremony(tmp_path: Path) -> None:
    text = (ROOT / "certs/README.md").read_text()
    lines = re.findall(r"^ {7}((?:sottovoce|openssl) .+)$", text, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        assert shell(line.replace("/srv/voice", "voice"), tmp_path)


@pytest.mark.interop(tool="openssl")
def test_clients_are_added_and_call(made: Path, tmp_path: Path) -> None:
    """As docs/credentials.md tells, for the host of this test and before its dates."""
    port = free_port()
    text = (ROOT / "docs/credentials.md").read_text()
    text = text.replace("voice.example.com", f"localhost:{port}").replace("2027-01-31", "2099-01-31")
    lines = [line for body in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in body.splitlines()]
    before = [line for line in lines if " revoke " not in line]
    calls = re.findall(r"`(sottovoce call [^`]+)`", text)
    directory = Path(shutil.copytree(made, tmp_path / "voice"))
    shutil.copy(directory / "certs/anchor.json", tmp_path)
    for line in before:
        shell(line, tmp_path)
    sets = (
        *(f"listener.address=127.0.0.1:{port}", "routes.support.adapter=echo", "clients.require_credential=true"),
        *("clients.file=clients.toml", f"clients.ca_file={tmp_path}/clients-ca.pem"),
    )
    assert len(calls) == 3
    with running_proxy(directory, *sets) as proxy:
        for line in calls:
            assert shell(f"{line} --ca voice/certs/ca.pem", tmp_path)
        established = [event["identity"] for event in proxy.events("session.established")]
    assert established == ["kiosk-7", "kiosk-8", "kiosk-9.example.com"]
    for line in lines:
        if " revoke " in line:
            assert shell(line, tmp_path)
    listed = shell("sottovoce clients list voice", tmp_path)
    assert "kiosk-7 " not in listed
    assert "withdrawn: kiosk-9.example.com" in listed


def test_the_operators_page(tmp_path: Path) -> None:
    """Each block of docs/operations.md that is marked as sh, in its order; then the copy serves, and takes a call.

    What takes root or systemd is not marked.
    """
    text = (ROOT / "docs/operations.md").read_text().replace("/srv", str(tmp_path))
    port, admin = str(free_port()), str(free_port())
    text = text.replace("18443", port).replace("19443", admin)
    blocks = [textwrap.dedent(body) for body in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)]
    lines = [line for body in blocks for line in body.splitlines()]
    assert len(lines) == 14
    for line in lines:
        shell(line, tmp_path)
    assert len(json.loads((tmp_path / "voice/certs/anchor.json").read_text())["anchors"]) == 2
    (serve,) = re.findall(r"^(sottovoce serve restored.*)$", text, re.MULTILINE)
    (call,) = re.findall(r"^(sottovoce call .*restored.*)$", text, re.MULTILINE)
    with in_the_background(serve, tmp_path, tmp_path / "restored/voice/run/ready"):
        shell(call, tmp_path)
    (wait,) = re.findall(r"^ *(sottovoce anchor retire .*)$", text, re.MULTILINE)
    shell(f"! {wait}", tmp_path)


def test_the_remedies_that_are_commands_are_remedies(cli: Cli, directory: Path, tmp_path: Path) -> None:
    parent = cli("init", tmp_path / "a/b/voice").said
    shell(parent.partition(": ")[2], tmp_path)
    missing = cli("check", tmp_path / "a/b/voice").err.splitlines()[1]
    shell(missing.partition("make it with: ")[2], tmp_path)
    assert cli("check", tmp_path / "a/b/voice").code == 0
    (directory / "secrets/pin").chmod(0o644)
    shell(cli("check", directory).err.splitlines()[1], tmp_path)
    assert cli("check", directory).code == 0
