import contextlib
import json
import socket
import threading
from pathlib import Path

import msgspec
import pytest

from sottovoce.admin import CallCounts, Concern, HandshakeStatus, ListenerStatus, RouteStatus, TokenStatus
from tests.admin.listening import HEALTHY, HSM_DOWN
from tests.cli.conftest import Cli
from tests.cli.watching.telling import running_over, telling

DOWN = msgspec.structs.replace(HEALTHY, state="degraded", concerns=(HSM_DOWN,))


def test_a_healthy_proxy_is_one_line(cli: Cli) -> None:
    with telling(HEALTHY) as url:
        ran = cli("status", url)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "healthy · 0 calls · hsm up · leaf 23 h 58 min · voice certificate 6 d 23 h · pq prefer: no handshake yet\n"
    )


def test_of_several_tokens_it_says_how_many_are_up(cli: Cli) -> None:
    tokens = (TokenStatus("a", "up", 60, 0), TokenStatus("b", "down", 12, 0, "gone"), TokenStatus("c", "up", 60, 0))
    hsm = msgspec.structs.replace(HEALTHY.hsm, tokens=tokens)
    with telling(msgspec.structs.replace(HEALTHY, hsm=hsm)) as url:
        assert " · hsm 2 of 3 up · leaf " in cli("status", url).out


def test_calls_and_the_share_of_post_quantum_ones(cli: Cli) -> None:
    listeners = (ListenerStatus("listener", "[::]:1", "require", 1), ListenerStatus("old", "[::]:2", "prefer", 0))
    status = msgspec.structs.replace(
        HEALTHY,
        calls=CallCounts(1, 2, 3),
        listeners=listeners,
        handshakes=HandshakeStatus({"X25519MLKEM768": 2, "X25519": 1}, 2 / 3),
    )
    with telling(status) as url:
        ran = cli("status", url)
    assert "healthy · 1 call · " in ran.out
    assert ran.out.endswith(" · pq require/prefer: 66 % hybrid\n")


def test_each_cause_is_a_line_and_the_exit_code_says_that_it_is_not_healthy(cli: Cli) -> None:
    with telling(DOWN) as url:
        ran = cli("status", url)
    assert (ran.code, ran.err) == (3, "")
    first, second = ran.out.splitlines()
    assert first.startswith("degraded · ")
    assert second == "degraded  hsm: the token process is down for 12 s: it is started again by itself"


def test_of_very_many_causes_the_first_are_shown_and_no_more_than_twelve_lines(cli: Cli) -> None:
    many = tuple(Concern("degraded", f"backend.{number}", "a\nb\x1b[2J", "c") for number in range(40))
    with telling(msgspec.structs.replace(DOWN, concerns=many)) as url:
        ran = cli("status", url)
    lines = ran.out.splitlines()
    assert len(lines) == 12
    assert lines[1] == "degraded  backend.0: a?b?[2J: c"
    assert lines[-1] == "… and 30 more: sottovoce status --json"


@pytest.mark.parametrize(("status", "code"), [(HEALTHY, 0), (DOWN, 3)])
def test_json_is_what_the_proxy_says(cli: Cli, status: object, code: int) -> None:
    with telling(status) as url:  # type: ignore[arg-type]
        ran = cli("status", url, "--json")
    assert ran.code == code
    assert ran.json == {"ok": code == 0, **json.loads(msgspec.json.encode(status))}


@pytest.mark.parametrize("configured", ["127.0.0.1:1", "127.0.0.1:0"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  an address that is told
def test_a_directory_leads_to_where_its_proxy_says_that_it_tells(
    cli: Cli, directory: Path, configured: str, host: str
) -> None:
    (directory / "sottovoce.toml").write_text(f'[admin]\naddress = "{configured}"\n')
    with telling(HEALTHY) as url, running_over(directory, f"{host}:{url.rpartition(':')[2]}"):
        for words in (("status",), ("top", "--once"), ("hsm", "status")):
            ran = cli(*words, directory)
            assert (ran.code, ran.err) == (0, "")


def test_a_proxy_that_does_not_say_where_is_asked_where_the_configuration_has_it(cli: Cli, directory: Path) -> None:
    with telling(HEALTHY) as url, running_over(directory, ""):
        (directory / "sottovoce.toml").write_text(f'[admin]\naddress = "{url.removeprefix("http://")}"\n')
        ran = cli("status", directory)
        assert ran.code == 0
        assert ran.said == (
            f"note: could not ask the proxy of {directory} itself (it does not say where): asking {url} instead, "
            "which may be another's"
        )
        (directory / "sottovoce.toml").write_text('[admin]\naddress = "127.0.0.1:0"\n')
        said = cli("status", directory).said
    assert "admin.address has port 0" in said
    assert "proxy.ready" in said
    assert "sottovoce status http://127.0.0.1:PORT" in said


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}\n",
        b"no json\n",
        b"[]\n",
        b'{"error": "\xff"}\n',
        b'{"more": ' + b"[" * 50_000 + b"\n",
        b'{"admin":"a"}\n',
    ],
)
@pytest.mark.parametrize("words", [("status",), ("top", "--once"), ("hsm", "status")])
def test_an_answer_of_another_version_leads_to_the_configured_address_with_a_note(
    cli: Cli, directory: Path, answer: bytes, words: tuple[str, ...]
) -> None:
    with telling(HEALTHY) as url, running_over(directory, answer):
        (directory / "sottovoce.toml").write_text(f'[admin]\naddress = "{url.removeprefix("http://")}"\n')
        ran = cli(*words, directory)
    assert ran.code == 0
    assert ran.said.startswith(f"note: could not ask the proxy of {directory} itself (")
    assert ran.said.endswith(f"): asking {url} instead, which may be another's")


def test_a_stranger_who_listens_in_the_proxys_place_is_the_error_and_nobody_else_is_asked(
    cli: Cli, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sottovoce.app.control.asking.user_of", lambda _: 65_534)
    with telling(HEALTHY) as url, running_over(directory, url.removeprefix("http://")):
        (directory / "sottovoce.toml").write_text(f'[admin]\naddress = "{url.removeprefix("http://")}"\n')
        ran = cli("status", directory)
    assert (ran.code, ran.out) == (1, "")
    assert "user 65534 listens at " in ran.said
    assert "see who did that" in ran.said


def test_a_directory_without_a_proxy_is_not_answered_for_by_another_ones(cli: Cli, directory: Path) -> None:
    with telling(HEALTHY) as url:
        (directory / "sottovoce.toml").write_text(f'[admin]\naddress = "{url.removeprefix("http://")}"\n')
        for words in (("status",), ("top", "--once"), ("hsm", "status")):
            ran = cli(*words, directory)
            assert (ran.code, ran.out) == (1, "")
            assert ran.said.startswith(
                "no proxy runs over this directory, or it is still starting, or it serves with another "
                f"process.ready_file (nobody listens at {directory}/run/ready.control): "
            )
            assert "start it with: sottovoce serve DIR, or, if it runs with --set, give the URL" in ran.said


def test_while_a_newer_program_takes_over_that_is_said(cli: Cli, directory: Path) -> None:
    (directory / "run").mkdir(exist_ok=True)
    (directory / "run/ready").write_text("127.0.0.1:1\n")
    said = cli("status", directory).said
    assert "the proxy is being replaced by a newer program, or was killed in that" in said
    assert "replacement.done" in said


def test_a_configuration_that_was_broken_since_is_said_and_the_proxy_answers(cli: Cli, directory: Path) -> None:
    (directory / "sottovoce.toml").write_text("[admin\n")
    alone = cli("status", directory)
    assert (alone.code, alone.out) == (1, "")
    assert "sottovoce.toml" in alone.err
    with telling(HEALTHY) as url, running_over(directory, url.removeprefix("http://")):
        ran = cli("status", directory)
    assert ran.code == 0
    assert ran.out.startswith("healthy · ")
    assert ran.said == f"note: the proxy runs, and its configuration has faults since: sottovoce check {directory}"


def test_nobody_answers(cli: Cli) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        ran = cli("status", url)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said == (
        f"nobody answers at {url} (Connection refused): start the proxy with: sottovoce serve DIR, "
        "or give the URL of its admin address (admin.address)"
    )


def test_somebody_listens_and_says_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.admin.asking._TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ran = cli("status", f"http://127.0.0.1:{server.getsockname()[1]}")
    assert ran.code == 1
    assert "nothing answers within 0.1 s" in ran.said


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_somebody_answers_a_byte_at_a_time_without_end(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    monkeypatch.setattr("sottovoce.admin.asking._TIMEOUT_SECONDS", 0.3)
    enough = threading.Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(begins)
            while not enough.wait(0.02):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            ran = cli("status", f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            enough.set()
            dripping.join()
    assert ran.code == 1
    assert "nothing answers within 0.3 s" in ran.said


def test_what_another_program_says_moves_no_terminal(cli: Cli) -> None:
    odd = "\x1b]0;owned\x07"
    status = msgspec.structs.replace(
        HEALTHY,
        listeners=(ListenerStatus(odd, odd, odd, 0),),
        routes=(RouteStatus(odd, CallCounts(0, 0, 0), "built in", 1.0),),
        handshakes=HandshakeStatus({odd: 1}, None),
        concerns=(Concern("degraded", odd, odd, odd),),
    )
    with telling(status) as url:
        for word in ("status", "top"):
            ran = cli(word, url)
            assert "owned" in ran.out
            assert not any(char in ran.out + ran.err for char in "\x1b\x07")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"{}", 200, "is no admin address of this version"),
        (b"no json", 200, "is no admin address of this version"),
        (b'{"schema": "\xff"}', 200, "is no admin address of this version"),
        (b'{"more": ' + b"[" * 200_000, 200, "is no admin address of this version"),
        (msgspec.structs.replace(HEALTHY, schema="sottovoce.status.9"), 200, "is no admin address of this version"),
        (b"no", 404, "says 404 to /status"),
        (b" " * (1 << 21), 200, "is no proxy's admin address"),
    ],
)
def test_another_program_answers(cli: Cli, answer: bytes, code: int, said: str) -> None:
    with telling(answer, code) as url:
        ran = cli("status", url)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.said


@pytest.mark.parametrize("url", ["https://127.0.0.1:9443", "http://127.0.0.1", "http://:1", "ftp://x:1", "http://a:b"])
def test_what_is_no_admin_address(cli: Cli, url: str) -> None:
    assert "is no admin address: write http://127.0.0.1:9443" in cli("status", url).said


def test_a_name_that_no_name_service_takes(cli: Cli) -> None:
    assert "names no host" in cli("status", f"http://{'a' * 64}.example:1").said


def test_the_environments_proxy_is_not_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with telling(HEALTHY) as url:
        assert cli("status", url).code == 0
