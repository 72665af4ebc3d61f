"""`sottovoce clients`: who may call, said by command."""

import hashlib
import io
import stat
import time
import wave
from pathlib import Path

import pytest

from sottovoce.audit import read_tail
from sottovoce.pki import read_public_key_file
from sottovoce.primitives.signatures import PemSigner
from tests.cli.conftest import Cli
from tests.running import running_proxy

HERE = ("--audience", "localhost:8443")


def audited(directory: Path, count: int, *, of: str = "") -> list[tuple[str, str]]:
    found = read_tail(str(directory / "audit/audit.log"), count)
    return [(each.event, str(each.fields["name"])) for each in found if of in {"", each.event}]


def clients(cli: Cli, directory: Path) -> list[str]:
    return [each["name"] for each in cli("clients", "list", directory, "--json").json["clients"]]


def test_a_token_is_shown_once_and_its_digest_kept(cli: Cli, directory: Path) -> None:
    ran = cli("clients", "add", directory, "kiosk", "--token", *HERE)
    token = ran.out.removesuffix("\n")
    assert (ran.code, len(bytes.fromhex(token))) == (0, 32)
    text = (directory / "clients.toml").read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert token not in text
    assert ran.err.splitlines() == [
        f"kiosk may call every route at localhost:8443, with token:{hashlib.sha256(token.encode()).hexdigest()[:12]}",
        "its token, which nothing shows again:",
        "a running proxy takes this within a second; one that does not run, at its start",
    ]
    assert cli("clients", "add", directory, "kiosk", "--token", *HERE).out != ran.out
    assert clients(cli, directory) == ["kiosk", "kiosk"]
    assert audited(directory, 2) == [("client_added", "kiosk")] * 2
    log = (directory / "audit/audit.log").read_text()
    assert token not in log
    assert token not in cli("clients", "list", directory).out


def test_a_token_goes_into_a_file_that_only_its_owner_reads(cli: Cli, directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "kiosk.token"
    ran = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--out", out)
    token = out.read_text().strip()
    assert (ran.code, stat.S_IMODE(out.stat().st_mode)) == (0, 0o600)
    assert token not in ran.out + ran.err
    again = cli("clients", "add", directory, "other", "--token", *HERE, "--out", out)
    assert again.code == 1
    assert again.said == f"{out} is there already: give another name, or move it away"
    assert clients(cli, directory) == ["kiosk"]
    nowhere = cli("clients", "add", directory, "other", "--token", *HERE, "--out", tmp_path / "none/x")
    assert nowhere.said.endswith("cannot be written (No such file or directory): give another place")


def test_what_cannot_be_added_leaves_no_token_behind(cli: Cli, directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "kiosk.token"
    (directory / "clients.toml").write_text('withdrawn = ["kiosk"]\n')
    ran = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--out", out)
    assert ran.said == f"kiosk is withdrawn: take it out of withdrawn in {directory}/clients.toml first"
    assert not out.exists()
    ran = cli("clients", "add", directory, " x", "--token", *HERE, "--out", out)
    assert ran.said.startswith("the client.name is ' x': write 1 to 128 printable characters")
    assert not out.exists()


def test_a_key_is_made_and_added(cli: Cli, directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "robot.key"
    made = cli("clients", "keygen", "--out", out)
    assert (made.code, stat.S_IMODE(out.stat().st_mode)) == (0, 0o600)
    assert PemSigner.from_pem(out.read_bytes()).public_key == read_public_key_file(made.out.encode())
    (tmp_path / "robot.pub").write_text(made.out)
    words = ("--route", "echo", "--route", "later", "--expires", "2099-01-31T08:00:00+02:00")
    ran = cli("clients", "add", directory, "robot", "--key", tmp_path / "robot.pub", *HERE, *words)
    assert ran.code == 0
    assert ran.out.startswith(
        "robot may call echo, later at localhost:8443, until 2099-01-31 06:00:00+00:00, with key:"
    )
    assert ran.err.startswith("note: there is no route 'later' in the configuration yet\n")
    (entry,) = cli("clients", "list", directory, "--json").json["clients"]
    assert entry["routes"] == ["echo", "later"]
    assert entry["expires"] == "2099-01-31 06:00:00+00:00"
    again = cli("clients", "add", directory, "robot", "--key", tmp_path / "robot.pub", *HERE)
    assert again.said == f"{directory}/clients.toml has this key already: make another"
    assert cli("clients", "keygen", "--out", out).said == f"{out} is there already: give another name, or move it away"


@pytest.mark.parametrize("algorithm", ["ecdsa_secp384r1_sha384", "mldsa44", "mldsa65", "mldsa87"])
def test_keys_of_each_algorithm(cli: Cli, tmp_path: Path, algorithm: str) -> None:
    made = cli("clients", "keygen", "--out", tmp_path / "key", "--algorithm", algorithm, "--json").json
    assert made["public_key"].startswith(f"{algorithm}:")
    assert made["private_key_file"] == str(tmp_path / "key")
    assert PemSigner.from_pem((tmp_path / "key").read_bytes()).public_key == read_public_key_file(
        made["public_key"].encode()
    )


def test_a_key_comes_from_standard_input(
    cli: Cli, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = cli("clients", "keygen", "--out", tmp_path / "key").out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line.encode())))
    assert cli("clients", "add", directory, "robot", "--key", "-", *HERE).code == 0


def test_what_is_no_public_key_is_one_line(cli: Cli, directory: Path, tmp_path: Path) -> None:
    cli("clients", "keygen", "--out", tmp_path / "key")
    ran = cli("clients", "add", directory, "robot", "--key", tmp_path / "key", *HERE)
    assert ran.said == f"the key {tmp_path}/key: it is a private key, which stays with the client: give the public one"
    ran = cli("clients", "add", directory, "robot", "--key", tmp_path / "none", *HERE)
    assert ran.said == f"the key {tmp_path}/none cannot be read (No such file or directory): check --key"
    assert clients(cli, directory) == []


@pytest.mark.parametrize(
    "words",
    [
        ("add", "DIR"),
        ("add", "DIR", "kiosk"),
        ("add", "DIR", "kiosk", "--token", "--key", "x"),
        ("add", "DIR", "kiosk", "--key", "x", "--out", "y"),
        ("add", "DIR", "kiosk", "--token", "--expires", "tomorrow"),
        ("add", "DIR", "kiosk", "--token", "--expires", "2027-01-31T08:00:00"),
        ("revoke", "DIR"),
        ("revoke", "DIR", "kiosk", "--credential", "token:1"),
        ("keygen",),
        ("keygen", "--out", "x", "--algorithm", "rsa"),
    ],
)
def test_what_is_asked_wrongly_is_usage(cli: Cli, words: tuple[str, ...]) -> None:
    ran = cli("clients", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "Error: " in ran.err


def test_hosts_are_those_of_the_configuration_unless_given(cli: Cli, directory: Path) -> None:
    file = directory / "sottovoce.toml"
    text = file.read_text()
    none = cli("clients", "add", directory, "kiosk", "--token")
    assert none.said == "the configuration tells no host that clients call: give it with --audience HOST"
    file.write_text(text.replace("127.0.0.1:0", "127.0.0.1:8443", 1) + '[listeners.more]\naddress = "127.0.0.1:443"\n')
    added = cli("clients", "add", directory, "kiosk", "--token", "--json").json
    names = ("localhost", "127.0.0.1", "[::1]")
    assert added["audience"] == [*(f"{name}:8443" for name in names), *names]


def test_the_list_is_a_table_and_tells_who_else_may_call(cli: Cli, directory: Path) -> None:
    assert cli("clients", "list", directory).out.splitlines() == [
        "no client is written",
        "and whoever shows no credential: clients.require_credential is false",
    ]
    for name in ("a", "longer-name"):
        cli("clients", "add", directory, name, "--token", *HERE, "--expires", "2026-01-01")
    cli("clients", "add", directory, "c", "--token", *HERE)
    text = (directory / "clients.toml").read_text()
    (directory / "clients.toml").write_text(f'withdrawn = ["c"]\n{text}')
    (directory / "sottovoce.toml").write_text(
        (directory / "sottovoce.toml")
        .read_text()
        .replace('file = "clients.toml"', 'file = "clients.toml"\nca_file = "ca.pem"', 1)
    )
    heading, first, second, third, withdrawn, others, nobody = cli("clients", "list", directory).out.splitlines()
    assert heading.split() == ["NAME", "CREDENTIAL", "HOSTS", "ROUTES", "ADDED", "EXPIRES", "STATE"]
    assert first.index("token:") == second.index("token:") == heading.index("CREDENTIAL")
    assert [line.split()[-1] for line in (first, second, third)] == ["expired", "expired", "withdrawn"]
    assert withdrawn == "withdrawn: c"
    assert others == f"and whoever has a certificate of a CA in {directory}/ca.pem"
    assert nobody.startswith("and whoever shows no credential")


def test_revoking_says_what_went(cli: Cli, directory: Path) -> None:
    first = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--json").json
    second = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--json").json
    dry = cli("clients", "revoke", directory, "kiosk", "--dry-run")
    assert dry.out.splitlines() == [f"would be revoked: kiosk, {each['credential']}" for each in (first, second)]
    one = cli("clients", "revoke", directory, "--credential", first["credential"], "--json").json
    assert one["revoked"] == [{"name": "kiosk", "credential": first["credential"]}]
    rest = cli("clients", "revoke", directory, "kiosk")
    assert rest.out == f"revoked: kiosk, {second['credential']}\n"
    assert rest.said.startswith("a running proxy takes this within a second")
    gone = cli("clients", "revoke", directory, "kiosk")
    assert (gone.code, gone.out) == (1, "")
    assert gone.said.startswith(f"there is no client 'kiosk' in {directory}/clients.toml: see sottovoce clients list")
    assert cli("clients", "revoke", directory, "kiosk", "--json").json["ok"] is False
    assert cli("clients", "revoke", directory, "kiosk", "--withdraw").out == "withdrawn: kiosk\n"
    assert cli("clients", "list", directory, "--json").json["withdrawn"] == ["kiosk"]
    assert audited(directory, 3) == [("client_revoked", "kiosk")] * 3


def test_a_dry_run_makes_nothing(cli: Cli, directory: Path, tmp_path: Path) -> None:
    before = (directory / "clients.toml").read_bytes(), (directory / "audit/audit.log").read_bytes()
    ran = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--dry-run", "--out", tmp_path / "token")
    assert ran.out.startswith("would be written: kiosk may call every route at localhost:8443, with token:")
    found = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--dry-run", "--json").json
    assert found["dry_run"] is True
    assert "token" not in found
    assert not (tmp_path / "token").exists()
    assert ((directory / "clients.toml").read_bytes(), (directory / "audit/audit.log").read_bytes()) == before


def test_where_the_configuration_names_no_file_it_says_which_line_to_write(cli: Cli, directory: Path) -> None:
    file = directory / "sottovoce.toml"
    file.write_text(file.read_text().replace('file = "clients.toml"', "", 1))
    (directory / "clients.toml").unlink()
    ran = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--json")
    assert ran.json["is_configured"] is False
    assert (directory / "clients.toml").exists()
    said = cli("clients", "list", directory)
    assert said.said == 'no proxy reads it yet: write file = "clients.toml" under [clients] in the configuration'


def test_a_log_that_cannot_be_written_is_told_and_the_change_stands(cli: Cli, directory: Path) -> None:
    log = directory / "audit/audit.log"
    log.write_bytes(log.read_bytes().replace(b"mldsa65", b"mldsa66", 1))
    ran = cli("clients", "add", directory, "kiosk", "--token", *HERE, "--json")
    assert ran.code == 0
    assert ran.said.startswith(f"the change is made, but not on the audit log: audit log {log}, line ")
    log.unlink()
    assert cli("clients", "add", directory, "other", "--token", *HERE, "--json").code == 0
    assert not log.exists()
    assert clients(cli, directory) == ["kiosk", "other"]


def test_a_file_that_is_broken_is_one_line(cli: Cli, directory: Path) -> None:
    (directory / "clients.toml").write_text("[[client]\n")
    for words in (("add", directory, "kiosk", "--token", *HERE), ("list", directory), ("revoke", directory, "kiosk")):
        ran = cli("clients", *words)
        assert (ran.code, ran.out) == (1, "")
        assert ran.said.startswith(f"the clients file {directory}/clients.toml: it is no TOML (")


@pytest.mark.interop(tool="softhsm2-util")
def test_a_running_proxy_holds_the_log_and_notices_by_itself(cli: Cli, directory: Path) -> None:
    wav = directory / "short.wav"
    with wave.open(str(wav), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(6400))
    with running_proxy(directory) as proxy:
        added = cli("clients", "add", directory, "kiosk", "--token", "--audience", f"localhost:{proxy.port}", "--json")
        assert (added.code, added.err) == (0, "")
        token = directory / "token"
        token.write_text(added.json["token"])
        while not proxy.events("clients.loaded"):  # the file is looked at several times a second
            time.sleep(0.02)
        called = cli("call", f"{proxy.url}/echo", wav, "--dir", directory, "--token-file", token, "--json")
        assert called.code == 0, called.out
        (established,) = proxy.events("session.established")
    assert established["identity"] == "kiosk"
    assert added.json["token"] not in proxy.log.read_text()
    assert ("client_added", "kiosk") in audited(directory, 20, of="client_added")
