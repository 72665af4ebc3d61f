from pathlib import Path

import pytest

from sottovoce.client import CallMisconfigured
from sottovoce.client.credentials import read_token
from sottovoce.primitives import Secret

_TOKEN = "eyJhbGciOi.hunter2"


def test_a_token_comes_from_a_file_as_text_or_as_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(_TOKEN + "\n")
    own = Secret("mine", _TOKEN.encode())
    assert read_token(path) == read_token(_TOKEN) == Secret("token", _TOKEN.encode())
    assert read_token(own) is own


@pytest.mark.parametrize("content", ["", " \n", "hunter2 and more", "hunter2é", "hunter2" * 2000, "hunter2\0"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    for source, named in ((path, str(path)), (content, "the token")):
        with pytest.raises(CallMisconfigured, match="is not a token") as refusal:
            read_token(source)
        assert named in str(refusal.value)
        assert "hunter2" not in str(refusal.value)


def test_a_text_with_a_path_in_it_is_a_token_and_never_shown() -> None:
    assert repr(read_token("/etc/hunter2")) == "<Secret bearer token, 12 bytes>"
