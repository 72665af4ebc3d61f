import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.peers.servers import InstallationFailed, find_program, install, programs, remedy
from loadtest.peers.servers.cores import Cores, find_cores
from loadtest.peers.servers.processes import ServerFailed, free_port, serving


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without peers; gives the directory that is its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(programs, "_SYSTEM", ())
    return folder


def test_a_peer_of_the_system(bare: Path, tmp_path: Path) -> None:
    script(bare / "haproxy", 'echo "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/"')
    script(bare / "nginx", 'echo "nginx version: nginx/1.22.1" >&2')
    haproxy, nginx = find_program("haproxy", tmp_path), find_program("nginx", tmp_path)
    assert haproxy is not None
    assert nginx is not None
    assert (haproxy.version, nginx.version) == ("2.6.12", "1.22.1")
    assert haproxy.environment is None


def test_a_peer_that_was_unpacked_finds_its_libraries(bare: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "peers"
    (unpacked / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    script(unpacked / "usr/sbin/haproxy", 'echo "HAProxy version 9.9 $LD_LIBRARY_PATH"')
    found = find_program("haproxy", unpacked)
    assert found is not None
    assert found.version == "9.9"
    assert found.environment is not None
    assert str(unpacked / "usr/lib/x86_64-linux-gnu") in found.environment["LD_LIBRARY_PATH"].split(os.pathsep)


def test_a_peer_that_does_not_run_is_none(bare: Path, tmp_path: Path) -> None:
    script(bare / "haproxy", "exit 127")
    script(bare / "nginx", "echo what is a version")
    assert find_program("haproxy", tmp_path) is None
    assert find_program("nginx", tmp_path) is None


def test_what_is_missing_is_named_with_two_ways_to_get_it() -> None:
    text = remedy("haproxy")
    assert text.startswith("haproxy is missing: apt-get install --no-install-recommends haproxy")
    assert "--install" in text


def test_without_apt_there_is_no_installing(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(InstallationFailed, match=r"apt-get is not here: install nginx yourself"):
        install("nginx", tmp_path / "peers")


def test_installing_fetches_and_unpacks_and_starts_nothing(bare: Path, tmp_path: Path) -> None:
    shell = f'PATH={os.defpath}; echo "$0 $*" >> {tmp_path}/said'
    script(
        bare / "apt-get",
        f"{shell}\n"
        'for word; do case $word in Dir::Cache::archives=*) touch "${word#*=}/a.deb" "${word#*=}/b.deb";; esac; done',
    )
    script(
        bare / "dpkg-deb",
        f'{shell}\nmkdir -p "$3/usr/sbin"; printf "#!/bin/sh\\necho nginx/1.2.3" > "$3/usr/sbin/nginx"\n'
        'chmod +x "$3/usr/sbin/nginx"',
    )
    found = install("nginx", tmp_path / "peers")
    assert (found.version, found.path) == ("1.2.3", str(tmp_path / "peers/usr/sbin/nginx"))
    said = (tmp_path / "said").read_text().splitlines()
    assert len(said) == 3
    assert "--download-only nginx" in said[0]
    assert "--no-install-recommends" in said[0]
    assert all("dpkg-deb -x" in line for line in said[1:])


def test_what_was_unpacked_and_does_not_run(bare: Path, tmp_path: Path) -> None:
    script(
        bare / "apt-get", 'PATH=/bin:/usr/bin; for word; do touch "${word#Dir::Cache::archives=}/a.deb"; done; exit 0'
    )
    script(bare / "dpkg-deb", "exit 0")
    with pytest.raises(
        InstallationFailed, match=r"nginx was unpacked under .* and does not run there: apt-get install"
    ):
        install("nginx", tmp_path / "peers")


def test_fetching_that_fails_says_what_apt_said(bare: Path, tmp_path: Path) -> None:
    script(bare / "apt-get", 'echo "E: Unable to locate package nginx" >&2; exit 100')
    script(bare / "dpkg-deb", "exit 0")
    with pytest.raises(InstallationFailed, match=r"Unable to locate package nginx.*apt-get update"):
        install("nginx", tmp_path / "peers")


def test_a_peer_that_is_installed_and_broken(bare: Path, tmp_path: Path) -> None:
    script(bare / "apt-get", "exit 0")
    script(bare / "dpkg-deb", "exit 0")
    with pytest.raises(InstallationFailed, match=r"apt-get install --reinstall nginx"):
        install("nginx", tmp_path / "peers")


def test_a_server_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = [str(script(tmp_path / "broken", "echo first; echo cannot bind >&2; exit 1"))]
    with (
        pytest.raises(ServerFailed, match=r"nginx did not start on 127.0.0.1:\d+: first \| cannot bind$"),
        serving("nginx", command, free_port(), tmp_path / "log"),
    ):
        pass


def test_cores_are_named_to_the_reader() -> None:
    assert Cores(0, 1, is_prompt=True).remarks == (
        "Servers on core 0; generator and backend on core 1.",
        "Generator and backend run as SCHED_RR 5.",
    )
    pinned, prompt = Cores(None, None, is_prompt=False).remarks
    assert pinned.startswith("WARNING: fewer than two cores")
    assert "not permitted" in prompt


def test_one_core_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    cores = find_cores()
    assert (cores.server, cores.generator) == (None, None)
    assert cores.for_server(["true"])[3:] == ["any", "0", "true"]


def test_servers_go_before_others_where_that_is_asked_for_and_permitted() -> None:
    for is_prompt, is_firm, priority in ((True, True, "5"), (True, False, "0"), (False, True, "0")):
        cores = Cores(None, None, is_prompt=is_prompt, is_firm=is_firm)
        assert cores.for_server(["true"])[3:] == ["any", priority, "true"]
        assert any(remark.startswith("Servers, too") for remark in cores.remarks) is (priority == "5")


def test_without_the_right_to_it_nobody_is_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    cores = find_cores()
    assert not cores.is_prompt
    assert cores.for_backend(["true"])[4:] == ["0", "true"]


def test_a_server_runs_where_it_should_and_keeps_its_pid() -> None:
    core = min(os.sched_getaffinity(0))
    show = [sys.executable, "-c", "import os; print(os.getpid(), os.sched_getaffinity(0), os.sched_getscheduler(0))"]
    with subprocess.Popen(Cores(core, core, is_prompt=False).for_server(show), stdout=subprocess.PIPE, text=True) as it:
        said, _ = it.communicate()
    assert said.split() == [str(it.pid), f"{{{core}}}", str(os.SCHED_OTHER)]


def test_the_generator_gets_its_freedom_back() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with Cores(None, core, is_prompt=False).as_generator():
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
