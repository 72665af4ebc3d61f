"""The listening sockets of all workers: bound by the supervisor, which keeps them open whatever becomes of a worker.

Each listener has a socket at each *place*, one for each worker where it could bind them itself.  The kernel shares out
connections among the places, also to one whose worker is gone.  So that nobody waits there, another worker accepts from
that place, too, until it has one of its own again.  A connection that nobody has accepted yet belongs to the place and
not to a worker, and is lost with neither.
"""

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress

from sottovoce.app.doctor.sockets import naming_holder
from sottovoce.edge import Address, AddressUnusable, bind_several, parse_address
from sottovoce.settings import Configuration

Sockets = Mapping[str, tuple[socket.socket, ...]]
"""By listener, in the order of their places: as many for each."""


def bind_places(configuration: Configuration, count: int, given: Mapping[str, Iterable[int]]) -> Sockets:
    """Bind every listener at `count` places; take those that were `given`, as descriptors, by listener.

    Raises AddressUnusable, having closed what it had bound.
    """
    sockets: dict[str, tuple[socket.socket, ...]] = {}
    try:
        for name, config in configuration.all_listeners().items():
            inherited = tuple(map(_taken_over, given.get(name, ())))
            with naming_holder():
                sockets[name] = inherited or tuple(bind_several(name, parse_address(config.address), count))
    except AddressUnusable:
        close_places(sockets)
        raise
    return sockets


def _taken_over(descriptor: int) -> socket.socket:
    taken = socket.socket(fileno=descriptor)
    taken.setblocking(False)  # noqa: FBT003  its only argument
    taken.set_inheritable(False)
    return taken


def close_places(sockets: Sockets) -> None:
    """Close all."""
    for each in sockets.values():
        for bound in each:
            with suppress(OSError):
                bound.close()


def address_of(sockets: Sockets, name: str) -> str:
    """Give the address that a listener got."""
    host, port, *_ = sockets[name][0].getsockname()
    return str(Address(host, port))


def share_out(places: int, workers: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Say which workers accept from which places, those of `workers` that take calls.  Pure.

    Worker n has place n.  Places without a worker go round among those that are there; a worker without a place shares.
    """
    there = sorted(workers)
    if not there:
        return {}
    shares: dict[int, list[int]] = {worker: [worker] for worker in there if worker < places}
    orphans = [place for place in range(places) if place not in there]
    for number, place in enumerate(orphans):
        shares.setdefault(there[number % len(there)], []).append(place)
    for worker in there:
        shares.setdefault(worker, [worker % places])
    return {worker: tuple(found) for worker, found in shares.items()}
