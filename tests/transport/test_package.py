import subprocess
import sys

import pytest

from sottovoce import transport


def test_what_it_offers_is_there() -> None:
    for name in transport.__all__:
        assert getattr(transport, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'TlsSteam'"):
        transport.TlsSteam  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnusedExpression]


def test_the_cores_come_without_an_event_loop() -> None:
    program = (
        "import sys, sottovoce.transport as t;"
        "print(*sorted({'trio', 'asyncio'} & set(sys.modules)));"
        "t.TlsStream; print('trio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\nTrue\n"
