"""What TLS leaves behind at a backend."""

from sottovoce.backend.machine.channel import Channel
from sottovoce.backend.machine.mux.pipe import Pipe
from sottovoce.transport import TlsCore
from sottovoce.transport.records import RecordCore
from tests.transport.ends import client, server


def ended_well(proxy: TlsCore, backend: TlsCore | None, last: bytes) -> None:
    """See that the last bytes hold close_notify, and that no key is held behind them."""
    assert proxy.receive(last) == b""
    assert proxy.closed_by_peer
    assert backend is not None
    records = backend.records
    assert isinstance(records, RecordCore)
    assert records._secret.is_wiped
    assert records._rx_secret.is_wiped


def test_a_websocket_that_is_over_holds_no_keys() -> None:
    proxy, channel = TlsCore(client()), Channel(server(), lambda: False)
    for _ in range(2):
        channel.receive(proxy.to_send())
        proxy.receive(channel.to_send())
    channel.end()
    ended_well(proxy, channel._tls, channel.to_send())
    assert channel.to_send() == b""
    assert channel.receive(b"whatever") == []


def test_a_shared_connection_that_is_over_holds_no_keys() -> None:
    proxy, pipe = TlsCore(client()), Pipe(server())
    pipe.open(proxy.to_send())
    proxy.receive(pipe.seal(b""))
    pipe.open(proxy.to_send())
    assert proxy.receive(pipe.seal(b"heard")) == b"heard"
    ended_well(proxy, pipe._tls, pipe.end())
    assert pipe.end() == pipe.seal(b"") == b""
