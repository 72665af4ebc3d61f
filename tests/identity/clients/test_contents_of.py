"""Contents that another process has read are the same there."""

from pathlib import Path

from sottovoce.identity import ClientsConfig, contents_of, read_contents, reread_contents
from sottovoce.transport import SystemEntropy
from tests.identity.clients.files import token_entry

NOON = 1_800_000_000.0


def test_what_was_read_is_the_same_elsewhere_and_stays_while_a_file_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(token_entry(name="kiosk"))
    config, entropy = ClientsConfig(file=str(file), require_credential=True), SystemEntropy()
    here = read_contents(config, lambda: NOON, entropy)
    there = contents_of(here.sources, entropy)
    assert there.grants_by_name() == here.grants_by_name() != set()
    assert there.require_credential
    file.write_text("[[client]")
    kept, problems = reread_contents(config, lambda: NOON, entropy, here)
    assert len(problems) == 1
    assert contents_of(kept.sources, entropy).grants_by_name() == here.grants_by_name()
