import json
from pathlib import Path

from tests.cli.conftest import Cli


def test_a_fresh_log_is_whole(cli: Cli, made: Path) -> None:
    ran = cli("audit", "verify", made)
    first, second = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert first.startswith("10 records, from 20")
    assert first.endswith(": the chain is whole")
    assert second == f"head {cli('audit', 'verify', made, '--json').json['head']}"


def test_a_changed_byte_is_found_and_its_line_named(cli: Cli, directory: Path) -> None:
    log = directory / "audit/audit.log"
    log.write_bytes(log.read_bytes().replace(b"mldsa65", b"mldsa66", 1))
    for json_words in ((), ("--json",)):
        ran = cli("audit", "verify", directory, *json_words)
        assert ran.code == 1
        assert ran.said.startswith(f"audit log {log}, line ")
        assert "its content does not match its leaf hash" in ran.said
        assert ran.said.endswith("move it away: the next start begins a new log")
    assert ran.json["ok"] is False


def test_a_log_cut_in_a_line_is_told(cli: Cli, directory: Path) -> None:
    log = directory / "audit/audit.log"
    log.write_bytes(log.read_bytes()[:-10])
    ran = cli("audit", "verify", directory)
    assert ran.code == 0
    assert ran.out.splitlines()[-1].endswith("bytes are a line that is not finished")


def test_an_empty_log_is_no_mystery(cli: Cli, directory: Path) -> None:
    (directory / "audit/audit.log").write_bytes(b"")
    assert cli("audit", "verify", directory).out == "the log holds no record\n"
    assert cli("audit", "tail", directory).out == ""


def test_a_missing_log_is_one_line(cli: Cli, directory: Path) -> None:
    (directory / "audit/audit.log").unlink()
    for what in ("verify", "tail"):
        ran = cli("audit", what, directory)
        assert (ran.code, ran.out) == (1, "")
        assert ran.said.startswith(f"audit log {directory}/audit/audit.log cannot be read (No such file or directory)")


def test_the_tail_is_the_last_records_for_people_and_for_programs(cli: Cli, made: Path) -> None:
    lines = cli("audit", "tail", made, "-n", "3").out.splitlines()
    records = cli("audit", "tail", made, "-n", "3", "--json").json["records"]
    assert len(lines) == len(records) == 3
    written = [json.loads(line) for line in (made / "audit/audit.log").read_text().splitlines()[-3:]]
    assert [record["head"] for record in records] == [record["head"] for record in written]
    assert all(record["event"].replace("_", " ") in line for record, line in zip(records, lines, strict=True))
