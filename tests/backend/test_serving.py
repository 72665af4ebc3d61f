"""What a server of calls is told, and how it says that it will not do."""

from pathlib import Path

import pytest

from sottovoce.backend import CannotListen, ServeOptions, serve
from sottovoce.backend.serving import Serving
from sottovoce.primitives import ApiMisuse
from tests.backend.test_conformance import pem_files
from tests.transport.certificates import Authority


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99_999), ("127.0.0.1", -1), ("", 9000)])
def test_an_address_that_is_none(host: str, port: int) -> None:
    with pytest.raises(CannotListen) as refused:
        Serving(host, port, {})
    assert f"{host}:{port} " in str(refused.value)


async def test_every_shell_looks() -> None:
    async def bot(_: object) -> None:
        pass

    with pytest.raises(CannotListen):
        await serve(bot, "127.0.0.1", 99_999)


def test_an_option_that_there_is_not_is_no_silent_plaintext() -> None:
    with pytest.raises(TypeError, match="certfile"):
        Serving("127.0.0.1", 0, {"certfile": "certificate.pem"})  # type: ignore[typeddict-unknown-key]


def test_a_server_of_no_calls() -> None:
    with pytest.raises(ApiMisuse, match="max_calls"):
        Serving("127.0.0.1", 0, {"max_calls": 0})


def test_a_file_that_will_not_do_is_named(tmp_path: Path) -> None:
    certificate, key = pem_files(Authority("ca").issue("localhost"), tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("no PEM")
    wrong: tuple[tuple[ServeOptions, Path], ...] = (
        ({"certificate_file": text, "key_file": key}, text),
        ({"certificate_file": certificate, "key_file": text}, text),
        ({"certificate_file": certificate, "key_file": key, "client_ca_file": text}, text),
    )
    for options, file in wrong:
        with pytest.raises(CannotListen) as refused:
            Serving("127.0.0.1", 0, options)
        assert str(file) in str(refused.value)
    Serving("127.0.0.1", 0, {"certificate_file": certificate, "key_file": key})
