import os
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_it_ends_with_the_next_command(cli: Cli, tmp_path: Path) -> None:
    directory = tmp_path / "my voice"
    ran = cli("init", directory, "--port", "0")
    assert ran.code == 0
    assert ran.err == ""  # nobody watches: no progress
    assert ran.out.splitlines()[-1] == f"next:  sottovoce serve '{directory}'"
    assert stat.S_IMODE((directory / "secrets/pin").stat().st_mode) == 0o600


def test_the_json_names_what_was_made(cli: Cli, tmp_path: Path) -> None:
    found = cli("init", tmp_path / "v", "--port", "0", "--json").json
    assert found["directory"] == str(tmp_path / "v")
    for name in ("configuration", "anchor", "ca"):
        assert Path(found[name]).is_file()


def test_a_host_is_vouched_for_once(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", tmp_path / "v", "--host", "voice.example", "--host", "localhost").code == 0
    text = (tmp_path / "v/sottovoce.toml").read_text()
    assert 'names = ["localhost", "127.0.0.1", "::1", "voice.example"]' in text
    assert '"127.0.0.1:8443"' in text
    assert '"127.0.0.1:9443"' in text


def test_a_second_directory_has_ports_of_its_own(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", tmp_path / "v", "--port", "8444", "--admin-port", "9444").code == 0
    text = (tmp_path / "v/sottovoce.toml").read_text()
    assert '"127.0.0.1:8444"' in text
    assert '"127.0.0.1:9444"' in text
    assert "9443" not in text


def test_an_existing_directory_is_left_as_it_is(cli: Cli, directory: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in directory.rglob("*"))
    ran = cli("init", directory)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said == (
        f"{directory} is there and not empty: choose another directory, or move this one away (it may hold keys)"
    )
    assert sorted((path, path.stat().st_mtime_ns) for path in directory.rglob("*")) == before


def test_an_empty_directory_may_be_there(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    assert cli("init", tmp_path / "v").code == 0


def test_a_missing_parent_is_named_with_the_command_that_makes_it(cli: Cli, tmp_path: Path) -> None:
    ran = cli("init", tmp_path / "a/b")
    assert (ran.code, ran.said) == (1, f"{tmp_path}/a does not exist: mkdir -p {tmp_path}/a")
    assert not list(tmp_path.iterdir())


def test_the_current_directory_is_not_replaced(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("init", ".")
    assert ran.code == 1
    assert ran.said == f"{tmp_path} is the current directory: choose one inside it, like {tmp_path}/voice"


def test_a_file_is_no_directory(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "v").write_text("")
    ran = cli("init", tmp_path / "v")
    assert (ran.code, ran.said) == (1, f"{tmp_path}/v is no directory: choose another name")


@pytest.mark.parametrize("parent", ["/proc", "/dev/null"])
def test_where_nothing_can_be_made_nothing_is_left(cli: Cli, parent: str) -> None:
    before = set(Path("/").iterdir())
    ran = cli("init", Path(parent) / "v")
    assert (ran.code, ran.out) == (1, "")
    assert f"{parent}/v " in ran.said
    assert ": choose " in ran.said
    assert set(Path("/").iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_may_not_be_written_is_named(cli: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        ran = cli("init", tmp_path / "v")
    finally:
        tmp_path.chmod(0o700)
    assert ran.code == 1
    assert "cannot be made (Permission denied): choose a directory that you may write to" in ran.said


@pytest.mark.parametrize("host", ["a b", "", "x" * 300, '"]', "voice.example:8443", "[::1]", "a\nb"])
def test_a_host_that_no_certificate_can_hold_is_refused_before_anything_is_made(
    cli: Cli, tmp_path: Path, host: str
) -> None:
    ran = cli("init", tmp_path / "v", "--host", host)
    assert (ran.code, ran.out) == (1, "")
    assert "write names as A-labels, addresses without brackets or port" in ran.said
    assert not list(tmp_path.iterdir())


def test_without_softhsm_it_says_what_to_install(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sottovoce.hsm.softhsm._PLACES", ())
    ran = cli("init", tmp_path / "v")
    assert ran.code == 1
    assert ran.said.startswith("SoftHSM is not installed: install it (Debian: apt install softhsm2)")
    assert not list(tmp_path.iterdir())


def test_a_route_is_written_and_the_way_to_its_first_call_is_said(cli: Cli, tmp_path: Path) -> None:
    ran = cli("init", tmp_path / "v", "--route", "bot=ws://127.0.0.1:9000", "--route", "ivr=twilio+ws://127.0.0.1:1/m")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert "  routes  echo (built in), bot (raw, ws://127.0.0.1:9000), ivr (twilio, ws://127.0.0.1:1/m);" in ran.out
    assert lines[-4:] == [
        f"next:  sottovoce serve {tmp_path}/v",
        "then, from another terminal, while it runs:",
        "       sottovoce example raw-asyncio >bot.py && python bot.py 9000",
        f"       sottovoce call wss://localhost:8443/bot --tone --dir {tmp_path}/v",
    ]
    assert cli("check", tmp_path / "v").code == 0
    assert cli("check", tmp_path / "v", "--set", "routes.bot.url=x").code == 1


def test_a_route_without_a_sample_of_its_own_is_not_told_of_another(cli: Cli, tmp_path: Path) -> None:
    ran = cli("init", tmp_path / "v", "--route", "pbx=audiosocket+tcp://127.0.0.1:9092")
    assert "  routes  echo (built in), pbx (audiosocket, tcp://127.0.0.1:9092);" in ran.out
    assert "example" not in ran.out
    assert ran.out.splitlines()[-1] == f"       sottovoce call wss://localhost:8443/pbx --tone --dir {tmp_path}/v"


def test_the_way_of_production_leads_over_a_credential(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "v"
    found = cli("init", place, "--profile", "production", "--port", "8445", "--json").json
    assert found["next"] == [
        f"sottovoce clients add {place} first --token --out first.token",
        f"sottovoce check {place}",
        f"sottovoce serve {place}",
        f"sottovoce call wss://localhost:8445/echo --tone --dir {place} --token first.token",
        f"sottovoce status {place}",
        f"sottovoce doctor wss://localhost:8445/echo --dir {place} --token first.token",
    ]


def test_a_route_that_is_none_is_refused_before_anything_is_made(cli: Cli, tmp_path: Path) -> None:
    ran = cli("init", tmp_path / "v", "--route", "bot=9000")
    assert (ran.code, ran.out) == (1, "")
    assert ran.said.startswith("--route bot: no backend's URL is given; write NAME=ws://HOST:PORT/")
    assert not list(tmp_path.iterdir())


def test_three_tokens_are_made_and_served_as_they_are(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "v"
    ran = cli("init", place, "--tokens", "3", "--port", "0", "--route", "bot=ws://127.0.0.1:9000")
    assert ran.code == 0
    assert f"  tokens  3 of SoftHSM, its own: five keys inside each; PINs in {place}/secrets" in ran.out
    assert {path.name for path in (place / "secrets").iterdir()} == {"a.pin", "b.pin", "c.pin"}
    assert cli("check", place).code == 0
    (place / "secrets/b.pin").unlink()
    ran = cli("check", place)
    assert (ran.code, ran.out) == (0, "the configuration can be served, without the tokens above\n")
    assert "hsm.nodes.b.pin_file: " in ran.err
    assert [each["path"] for each in cli("check", place, "--json").json["of_tokens"]] == ["hsm.nodes.b.pin_file"]


@pytest.mark.parametrize("count", ["0", "17", "many"])
def test_a_number_of_tokens_that_cannot_be_is_a_matter_of_usage(cli: Cli, tmp_path: Path, count: str) -> None:
    assert cli("init", tmp_path / "v", "--tokens", count).code == 2
    assert not list(tmp_path.iterdir())
