import subprocess
import sys

from sottovoce import client

_SERVERS_LIBRARIES = {"aioquic", "apsw", "nacl", "pkcs11", "rich", "structlog", "trio_websocket"}


def test_the_base_installation_is_enough() -> None:
    program = "import sys, sottovoce.client; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "trio" in loaded
    assert not _SERVERS_LIBRARIES & set(loaded)


def test_it_loads_nothing_of_the_proxys_own_upper_floors() -> None:
    program = "import sys, sottovoce.client; print(*(name for name in sys.modules if name.startswith('sottovoce.')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    rooms = {name.split(".")[1] for name in loaded}
    assert rooms == {"client", "primitives", "session", "transport", "wire"}


def test_what_it_offers_is_there() -> None:
    for name in client.__all__:
        assert getattr(client, name) is not None
    assert client.connect.__module__ == "sottovoce.client.trio.call"
