"""A call is the same, whoever encrypts the TLS records below it: `listener.records`."""

import pytest
from trio.testing import MockClock

from sottovoce.transport import RecordLayer
from sottovoce.transport.openssl import OpenSslRecords
from sottovoce.transport.records import RecordCore
from tests.edge.proxy import Proxy
from tests.transport.ends import client, server

FRAME = bytes(160)


@pytest.mark.parametrize("of_client", RecordLayer)
@pytest.mark.parametrize("records", RecordLayer)
async def test_a_call(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, records: RecordLayer, of_client: RecordLayer
) -> None:
    asked: list[type] = []
    for kind in (RecordCore, OpenSslRecords):

        def ask(core: RecordCore, data: bytes, *, receive: object = kind.receive_record) -> bytes | None:
            asked.append(type(core))
            return receive(core, data)  # type: ignore[operator, no-any-return]  # pyright: ignore[reportCallIssue]

        monkeypatch.setattr(kind, "receive_record", ask)
    proxy = Proxy()
    proxy.services.tls.replace(server(records=records))
    monkeypatch.setattr("tests.edge.proxy.client_tls", lambda: client(records=of_client))
    async with proxy.called() as peer:
        for _ in range(3):
            await peer.say(FRAME)
        await peer.until(lambda: len(peer.audio) == 3)
        await peer.close()
    assert [audio[-len(FRAME) :] for audio in peer.audio] == [FRAME] * 3
    assert peer.closed is not None
    assert peer.closed.code == 1000
    assert set(asked) == {RecordCore if records is RecordLayer.OWN else OpenSslRecords}
