from pathlib import Path
from typing import Any

import pytest

from sottovoce.client import CallMisconfigured, Codec, PqPolicy, Suite
from sottovoce.primitives import DEFAULT_SUITES, Secret
from tests.client.servers import settings


def test_without_choices_the_strongest_is_offered() -> None:
    made = settings()
    assert made.config.suites == DEFAULT_SUITES
    assert not any(suite.is_classical for suite in made.config.suites)
    assert made.tls.pq is PqPolicy.PREFER
    assert made.config.credential.kind == 0
    assert made.owned_token is None
    made.wipe_token()  # harmless


def test_choices_go_where_they_belong() -> None:
    made = settings(
        codec=Codec.PCMU_8K,
        receive_codec=Codec.PCM16_8K,
        frame_ms=10,
        metadata={"caller": "+49"},
        pq=PqPolicy("require"),
        suites=(Suite.SECP384R1MLKEM1024_AES256GCM,),
        token="token",
    )
    config = made.config
    assert (config.send_codec, config.receive_codec, config.frame_milliseconds) == (5, 2, 10)
    assert config.metadata == b'{"caller":"+49"}'
    assert config.suites == (0x0101,)
    assert config.credential.kind == 1
    assert made.tls.pq is PqPolicy.REQUIRE


def test_a_token_that_was_read_here_is_wiped_one_of_the_users_own_is_not() -> None:
    ours = settings(token="hunter2")
    assert "hunter2" not in repr(ours)
    ours.wipe_token()
    assert ours.config.credential.token is not None
    assert ours.config.credential.token.is_wiped
    own = Secret("mine", b"token")
    settings(token=own).wipe_token()
    assert not own.is_wiped


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"codec": Codec.NONE, "receive_codec": Codec.PCM16_8K}, "codec 0"),
        ({"codec": Codec.NONE, "frame_ms": 20}, "has no frames"),
        ({"keepalive": 0.5}, "less than a second"),
        ({"keepalive": float("nan")}, "less than a second"),
        ({"receive_codec": Codec.NONE}, "codec 0"),
        ({"frame_ms": 30}, "10, 20, 40 or 60"),
        ({"suites": ()}, "no suite"),
        ({"metadata": {"large": "x" * 5000}}, "4096"),
        ({"metadata": {"odd": object()}}, "no JSON object"),
        ({"ca": b"nonsense"}, "no readable certificate"),
        ({"ca": "/nowhere/ca.pem"}, "/nowhere/ca.pem: No such file"),
        ({"anchor": "/nowhere/anchor.json"}, "/nowhere/anchor.json: No such file"),
        ({"token": Path("/nowhere/token")}, "/nowhere/token: No such file"),
    ],
)
def test_each_option_that_cannot_be_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CallMisconfigured, match=says) as refusal:
        settings(**options)
    assert refusal.value.remedy


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"nonsense")
    with pytest.raises(CallMisconfigured, match=r"ca\.pem\)"):
        settings(ca=path)
