"""The lock file names packages and hashes, and nothing of the machine or the index that it was made with."""

import re
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"
LINE = re.compile(
    r"(?P<package>[a-z0-9-]+==[A-Za-z0-9.+!]+( ; [^\\]+)? \\)"
    r"|(    --hash=sha256:[0-9a-f]{64}( \\)?)"
    r"|(    #( via)?(   [a-z0-9-]+)?( [a-z0-9-]+)*( ?\(?[a-z0-9.:-]+\)?)*)"
)


def test_each_line_is_a_package_a_hash_or_a_reason() -> None:
    odd = [line for line in LOCK.read_text(encoding="ascii").splitlines() if not LINE.fullmatch(line)]
    assert odd == []


def test_no_index_host_or_path_is_named() -> None:
    text = LOCK.read_text(encoding="ascii")
    assert not re.search(r"https?:|//|--(extra-)?index|--find-links|@ file|(^|\s)/", text)


def test_each_package_has_a_hash() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK.read_text(encoding="ascii"))
    assert len(blocks) > 20
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
