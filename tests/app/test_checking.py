import hashlib
import os
from pathlib import Path

import pytest

from sottovoce.app.checking import CheckReport, build_routes, check, read_credentials
from sottovoce.settings import ConfigurationInvalid, Problem, find_file, load
from sottovoce.wire import CredentialKind

TOKEN = b"a-token-of-128-bits-of-chance"
TOKENS = f"""
[[client]]
name = "kiosk"
token_sha256 = "{hashlib.sha256(TOKEN).hexdigest()}"
audience = ["localhost"]
"""


def only_problem(report: CheckReport) -> Problem:
    (problem,) = report.problems
    assert str(problem).isprintable()
    assert problem.reason
    assert problem.remedy
    return problem


def test_a_directory_of_init_has_no_problem(made_directory: Path) -> None:
    assert check(made_directory) == CheckReport((), ())


def test_it_changes_nothing(directory: Path) -> None:
    def state() -> list[tuple[Path, int]]:
        return sorted((path, path.stat().st_mtime_ns) for path in directory.rglob("*"))

    before = state()
    check(directory)
    assert state() == before


def test_every_file_that_is_missing_is_named_at_once(directory: Path) -> None:
    for name in ("secrets/pin", "certs/ca.pem", "certs/anchor.json", "keys/anchor.mldsa87.json"):
        (directory / name).unlink()
    paths = [problem.path for problem in check(directory).problems]
    assert sorted(paths) == ["certs/anchor.json", "certs/ca.pem", "hsm.pin_file", "keys/anchor.mldsa87.json"]


@pytest.mark.parametrize(
    "name",
    ["certs/ca.pem", "certs/issuing.pem", "certs/anchor.json", "keys/anchor.mldsa87.json", "audit/audit.log"],
)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(directory: Path, name: str) -> None:
    (directory / name).unlink()
    os.mkfifo(directory / name)
    problem = only_problem(check(directory))
    assert problem.reason == f"{directory / name} is a pipe or a device, and no file"


@pytest.mark.parametrize("name", ["certs/ca.pem", "certs/issuing.pem"])
def test_a_certificate_that_is_none_is_a_problem(directory: Path, name: str) -> None:
    (directory / name).write_text("{}")
    problem = only_problem(check(directory))
    assert "holds no PEM certificate" in problem.reason


def test_a_ca_of_another_directory_is_a_problem(directory: Path) -> None:
    (directory / "certs/ca.pem").write_bytes((directory / "certs/issuing.pem").read_bytes())
    problem = only_problem(check(directory))
    assert problem.path == "certs/ca.pem"
    assert "did not issue certs/issuing.pem" in problem.reason


def test_a_module_that_is_not_there_is_no_matter_of_a_backup(directory: Path) -> None:
    problem = only_problem(check(directory, ["hsm.module=nope.so"]))
    assert (problem.path, problem.remedy) == ("hsm.module", "write the path of your HSM's PKCS#11 library")


def test_a_directory_of_three_tokens_has_no_problem(made_of_three: Path) -> None:
    assert check(made_of_three) == CheckReport((), ())


def test_what_is_wrong_with_one_of_three_tokens_is_said_and_keeps_nobody_from_serving(three: Path) -> None:
    (three / "secrets/a.pin").chmod(0o604)
    (three / "hsm/b").rename(three / "moved")
    (three / "keys/b/serving.mldsa65.json").unlink()
    report = check(three)
    assert report.problems == ()
    assert [problem.path for problem in report.of_tokens] == [
        "hsm.nodes.a.pin_file",
        "hsm.nodes.b.softhsm_config",
        "keys/b/serving.mldsa65.json",
    ]
    (three / "secrets/c.pin").unlink()
    report = check(three)
    assert report.of_tokens == ()
    assert [problem.path for problem in report.problems][-1] == "hsm.nodes.c.pin_file"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("certs/issuing-b.pem", "cannot be read"),
        ("certs/ca.pem", "cannot be read"),
        ("certs/anchor.json", "cannot be read"),
        ("keys/serving.json", "the list of serving keys {} is not there"),
    ],
)
def test_what_clients_and_tokens_read_of_all_of_them_has_to_be_there(three: Path, name: str, said: str) -> None:
    (three / name).unlink()
    problem = only_problem(check(three))
    assert problem.path == name
    assert said.format(three / name) in problem.reason


def test_a_ca_of_which_a_token_is_missing_is_a_problem_of_that_token(three: Path, made_directory: Path) -> None:
    roots = (three / "certs/ca.pem").read_text().split("-----END CERTIFICATE-----\n")
    (three / "certs/ca.pem").write_text("-----END CERTIFICATE-----\n".join(roots[1:]))
    problem = only_problem(check(three))
    assert problem.reason == f"{three}/certs/ca.pem did not issue certs/issuing-a.pem, so clients would refuse us"


def test_a_token_that_the_list_of_serving_keys_does_not_hold(three: Path) -> None:
    configuration = (three / "sottovoce.toml").read_text()
    (three / "sottovoce.toml").write_text(configuration.replace("hsm.nodes.b", "hsm.nodes.d"))
    problem = only_problem(check(three))
    assert problem.path == "keys/serving.json"
    assert problem.reason.endswith("does not hold the keys of token d")


def test_a_pin_that_others_may_read_is_a_problem(directory: Path) -> None:
    (directory / "secrets/pin").chmod(0o604)
    problem = only_problem(check(directory))
    assert (problem.path, problem.remedy) == ("hsm.pin_file", f"chmod 600 {directory}/secrets/pin")


@pytest.mark.parametrize("name", ["secrets/pin", "sottovoce.toml", "audit/audit.log", "keys", "pipe", "link"])
def test_a_ready_file_that_is_something_else_is_a_problem(directory: Path, name: str) -> None:
    os.mkfifo(directory / "pipe")
    (directory / "link").symlink_to("secrets/pin")
    problem = only_problem(check(directory, [f"process.ready_file={name}"]))
    assert problem.path == "process.ready_file"
    assert problem.reason == f"{directory}/{name} is there and is no ready file"


@pytest.mark.parametrize("content", ["", "127.0.0.1:8443\n", "0.0.0.0:443\n[::1]:8443\n[fe80::1%eth0]:1\n"])
def test_a_ready_file_that_was_left_is_none(directory: Path, content: str) -> None:
    (directory / "run/ready").write_text(content)
    assert check(directory).problems == ()


@pytest.mark.parametrize(
    ("content", "reason", "remedy"),
    [
        ("nonsense", "clients.toml: it is no TOML (Expected '=' after a key", "write each client as a [[client]]"),
        ("[[client]]\nname = 'a'\n", "clients.toml: client[0] (a) has both or none", "write one of the two"),
        (TOKENS + "expires = 2027-01-31T00:00:00\n", "has no time zone", "write it with Z, like 2027-01-31T00:00:00Z"),
        (None, "cannot be read (No such file or directory)", "check clients.file"),
    ],
)
def test_the_file_of_tokens_is_read(directory: Path, content: str | None, reason: str, remedy: str) -> None:
    if content is None:
        (directory / "clients.toml").unlink(missing_ok=True)
    else:
        (directory / "clients.toml").write_text(content)
    problem = only_problem(check(directory, ["clients.file=clients.toml"]))
    assert problem.path == "clients.file"
    assert reason in problem.reason
    assert remedy in problem.remedy


def test_credentials_are_those_of_the_file(directory: Path) -> None:
    (directory / "clients.toml").write_text(TOKENS)
    file = find_file(directory)
    assert read_credentials(load(file)).kinds == (CredentialKind.NONE,)
    sets = ["clients.file=clients.toml", "clients.require_credential=true"]
    credentials = read_credentials(load(file, sets))
    assert credentials.kinds == (CredentialKind.BEARER_TOKEN,)
    assert check(directory, sets).problems == ()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ('["a b"]', "'a b' is no host name or IP address"),
        ('["localhost", "localhost"]', "each once; it was asked for with 2"),
        (str([f"{'x' * 60}{number}.{'y' * 60}.{'z' * 60}.example" for number in range(20)]), "bytes of them at most"),
    ],
)
def test_names_that_no_certificate_can_hold(made_directory: Path, names: str, said: str) -> None:
    problem = only_problem(check(made_directory, [f"identity.names={names}"]))
    assert problem.path == "identity.names"
    assert said in problem.reason


def test_routes_are_built_and_all_that_are_wrong_are_named(directory: Path) -> None:
    (directory / "ca.pem").write_text("nonsense")
    sets = [
        *("routes.a.adapter=raw", "routes.a.url=wss://bot.example/", "routes.a.ca_file=none.pem"),
        *("routes.b.adapter=raw", "routes.b.url=wss://bot.example/", "routes.b.ca_file=ca.pem"),
    ]
    problems = check(directory, sets).problems
    assert [problem.path for problem in problems] == ["routes.a.ca_file", "routes.b.ca_file"]
    assert problems[0].reason == f"{directory}/none.pem: No such file or directory"
    file = find_file(directory)
    with pytest.raises(ConfigurationInvalid) as caught:
        build_routes(load(file, sets), file)
    assert caught.value.problems == problems


def test_the_environment_is_looked_at(made_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "keys")
    problem = only_problem(check(made_directory))
    assert problem.path == "process.allow_tls_environment"
    assert "SSLKEYLOGFILE" in problem.reason
    assert check(made_directory, ["process.allow_tls_environment=true"]).problems == ()
