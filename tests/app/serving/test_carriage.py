"""What a proxy of one process listens on."""

import socket

import trio

from sottovoce.app.serving.carriage import listening
from sottovoce.edge import CurrentServices, ListenerConfig
from tests.edge.proxy import Peer, Proxy


async def test_of_several_sockets_that_it_was_given_none_is_left_out() -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.setblocking(False)  # noqa: FBT003  its only argument
    listener = listening("listener", ListenerConfig(), sockets)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, CurrentServices(Proxy().services))
        for port in ports:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await Peer(stream).open()
        nursery.cancel_scope.cancel()
    assert [each.fileno() for each in sockets] == [-1, -1]
