import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from sottovoce import client
from sottovoce.client import ConnectOptions

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


def test_the_samples_of_its_page_are_sound_and_use_what_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs/client.md").read_text()
    samples = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(samples) == 2
    for sample in samples:
        tree = ast.parse("async def sample():\n" + textwrap.indent(sample, "    "))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            assert name in {"print", *client.__all__}
            if name in {"connect", "calls"}:
                assert {each.arg for each in call.keywords} <= set(ConnectOptions.__annotations__)


def test_connect_takes_what_calls_takes() -> None:
    wanted = {name: kind for name, kind in client.connect.__annotations__.items() if name not in _OF_ONE_CALL}
    assert set(wanted) == set(ConnectOptions.__annotations__)


_OF_ONE_CALL = {"url", "stream", "clock", "return"}
