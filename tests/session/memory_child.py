"""Runs a session between two machines and stops where test_protocol_erasure.py reads this process's memory.

Every secret is noted when it is wiped, and at the first stop those that still live; under a mask, without a copy in the
clear.  At a stop: a line with its name, a line with the number of notes, then one line each, `name masked-hex`.
"""

import gc
import sys

from sottovoce.primitives import Secret
from sottovoce.session import ClientTicket, ServerConfig, TicketReceived
from tests.session.dialogue import MASK, Box, Pair, client_config, make_client, make_server
from tests.session.keys import WALL

notes: list[tuple[str, bytearray]] = []


def note(secret: Secret) -> None:
    """`translate` makes the masked copy in one go."""
    if not secret.is_wiped and secret.name != "seed" and len(secret) >= 32:
        notes.append((secret.name, secret.expose().translate(MASK)))


def stop(point: str, told: list[tuple[str, bytearray]]) -> None:
    """Hand over notes, and wait until the memory was read."""
    lines = [point, str(len(told)), *(f"{name} {masked.hex()}" for name, masked in told)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


def tickets_of(pair: Pair) -> list[ClientTicket]:
    return [event.ticket for event in pair.client_events if isinstance(event, TicketReceived)]


def resumed(ticket: ClientTicket, box: Box, now: float) -> None:
    """Another session, with a ticket."""
    client = make_client(client_config(ticket=ticket), now=now, wall=WALL + now)
    pair = Pair(client, make_server(tickets=box, now=now, wall=WALL + now), now=now).run()
    assert client.is_open
    assert not pair.wanted, "nothing was signed"
    pair.voice(up=3, down=3)
    for received in tickets_of(pair):
        received.erase()
    client.close(1000, now)
    pair.run()


def main() -> None:
    """Handshake, generations, two root steps, end, and a resumed session."""
    wipe = Secret.wipe

    def noting_wipe(secret: Secret) -> None:
        note(secret)
        wipe(secret)

    Secret.wipe = noting_wipe  # type: ignore[method-assign]
    box = Box()
    pair = Pair(server=make_server(ServerConfig(epoch_seconds=10, messages_per_key=16), tickets=box)).run()
    gc.collect()
    for thing in gc.get_objects():
        if isinstance(thing, Secret):
            note(thing)
    # The ciphers of the epoch that has just begun hold its keys, and rightly so: those are not told.
    stop("established", [told for told in notes if told[0] != "sframe key"])
    pair.voice(up=40, down=40)
    pair.step()
    pair.voice(up=40, down=40)
    before = len(notes)
    pair.step()
    gc.collect()
    for old in tickets_of(pair)[:-1]:  # what a client's store does
        old.erase()
    # Of the newest epoch live its keys, and the client's res, which the server has wiped already.
    still = {"sframe key", "res"}
    stop("switched", [told for index, told in enumerate(notes) if index < before or told[0] not in still])
    pair.client.close(1000, pair.now)
    pair.run()
    resumed(tickets_of(pair)[-1], box, pair.now)
    gc.collect()
    stop("closed", notes)


if __name__ == "__main__":
    main()
