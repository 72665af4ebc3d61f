import itertools
import os
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from sottovoce.transport import ClientWebSocket, ServerWebSocket, WsEvent
from sottovoce.transport.websocket import binary, messages
from tests.transport.websocket.dialogue import LIMIT, connected, frame

ROLES = st.sampled_from(["server", "client"])
SIZES = st.sampled_from([0, 1, 124, 125, 126, 127, LIMIT - 1, LIMIT, LIMIT + 1]) | st.integers(0, LIMIT + 1)
OPCODES = st.sampled_from([2, 2, 2, 2, 0, 1, 8, 9, 10, 3])
FRAMES = st.builds(
    lambda opcode, size, fin, reserved, masked: (opcode, size, fin, reserved, masked),
    OPCODES,
    SIZES,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0, 0, 0, 0, 4]),
    st.sampled_from([True] * 9 + [False]),
)


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def end_of(*, is_server: bool) -> ServerWebSocket | ClientWebSocket:
    client, server = connected()
    return server if is_server else client


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 1 << 30), max_size=12), ROLES, st.binary())
@example([(2, LIMIT, True, 0, True), (9, 3, True, 0, True), (2, 0, True, 0, True)], [3, 4, 5], "server", b"")
@example([], [], "client", bytes.fromhex("ffffffff"))
@example([], [], "server", bytes.fromhex("89ff"))
@example([], [], "server", bytes.fromhex("81fe00"))
@example([], [], "client", bytes.fromhex("83"))
@example([], [], "server", bytes.fromhex("827e00"))
@example([], [], "client", bytes.fromhex("82fe00"))
@example([], [1], "server", bytes.fromhex("09ff0000"))
@example([], [1], "server", bytes.fromhex("0300"))
@example([(2, 5, False, 0, True), (2, 5, True, 0, True)], [], "server", b"")
def test_what_is_heard_is_what_the_core_alone_would_hear(
    frames: list[tuple[int, int, bool, int, bool]], cuts: list[int], hearer: str, garbage: bytes
) -> None:
    is_server = hearer == "server"
    data = b"".join(
        frame(opcode, bytes(size), masked=masked is is_server, fin=fin, reserved=reserved)
        for opcode, size, fin, reserved, masked in frames
    )
    pieces = pieces_of(data + garbage, cuts)

    def heard() -> tuple[list[WsEvent], bytes]:
        end = end_of(is_server=is_server)
        events: list[WsEvent] = []
        answers = b""
        for piece in pieces:
            events += end.receive(piece)
            answers += end.to_send()
        return [*events, *end.receive_eof()], answers if is_server else b""  # a client's answers have random masks

    def by_the_core_alone(end: messages.WebSocket, data: bytes) -> list[WsEvent]:
        events: list[WsEvent] = []
        end._give_core(data, events)
        return events

    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(messages.WebSocket, "_receive_frames", by_the_core_alone)
        expected = heard()
    assert heard() == expected


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 8), max_size=12), ROLES, st.lists(st.integers(0, 400)))
@example([], [0], "client", [])
@example([], [0], "server", [])
@example([(2, 5, True, 0, True), (2, 5, True, 4, True)], [0, 0, 1], "server", [])
@example([(2, 5, True, 0, True), (2, 5, True, 0, False)], [0, 0, 1], "server", [])
@example([(2, 5, True, 0, True), (1, 5, False, 0, True)], [0, 1, 0], "client", [])
@example([(2, 5, True, 0, True), (8, 0, True, 0, True)], [0, 1, 0], "client", [])
def test_a_message_by_itself_is_what_it_is_among_others(
    frames: list[tuple[int, int, bool, int, bool]], order: list[int], hearer: str, cuts: list[int]
) -> None:
    """Of one length after the other, and of the same again, which is known by its head."""
    is_server = hearer == "server"
    each = [
        frame(opcode, bytes(size), masked=masked is is_server, fin=fin, reserved=reserved)
        for opcode, size, fin, reserved, masked in frames
    ]
    pieces = [(each or [b""])[at % max(1, len(each))] for at in order]
    pieces += pieces_of(b"".join(pieces), cuts) if cuts else []
    one, other = end_of(is_server=is_server), end_of(is_server=is_server)
    for piece in pieces:
        message = one.receive_message(piece)
        assert (one.receive(piece) if message is None else [message]) == other.receive(piece)


@given(st.lists(st.binary(max_size=300), max_size=20), ROLES)
def test_what_is_written_past_the_core_arrives(said: list[bytes], hearer_is: str) -> None:
    client, server = connected()
    speaker, hearer = (client, server) if hearer_is == "server" else (server, client)
    for message in said:
        speaker.send_binary(message)
        speaker.send_ping(message[:3])
    assert hearer.receive(speaker.to_send()) == said


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_the_form_of_each_length(size: int) -> None:
    encoded = binary.unmasked_frame(bytes(size))
    masked = binary.masked_frame(bytes(size))
    if size == 65_536:
        assert encoded is masked is None
        return
    assert encoded == frame(2, bytes(size), masked=False)
    assert masked is not None
    extent = binary.frame_extent(masked, 0)
    start = len(masked) - size
    assert extent == (start, size)
    assert binary.apply_mask(masked[start:], masked[start - 4 : start]) == bytes(size)


def test_no_two_masking_keys_are_the_same() -> None:
    seen = {(binary.masked_frame(b"") or b"")[2:6] for _ in range(1_000)}
    assert len(seen) > 990


def test_a_forked_process_has_masking_keys_of_its_own() -> None:
    binary.masked_frame(b"")
    ours, theirs = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(theirs, binary.masked_frame(b"") or b"")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(ours, 6) != binary.masked_frame(b"")
    os.close(ours)
    os.close(theirs)


def test_a_message_above_64_kilobytes_is_the_cores() -> None:
    client = ClientWebSocket("localhost", "/", max_message_bytes=1 << 20)
    server = ServerWebSocket(max_message_bytes=1 << 20)
    client.request()
    server.receive(client.to_send())
    server.accept(None)
    client.receive(server.to_send())
    client.send_binary(b"before")
    client.send_binary(bytes(70_000))
    client.send_binary(b"behind")
    assert server.receive(client.to_send()) == [b"before", bytes(70_000), b"behind"]
