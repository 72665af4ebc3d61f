"""Whatever of the wrong type a handler says, over `raw` and `mux` and on every event loop: nothing of it is written.

And the bytes of whatever holds some arrive, with `mux` in frames that leave the connection and its other calls whole.
"""

import json
import math
from array import array
from typing import Any

import pytest

from sottovoce.backend import Audio, Call, Data
from sottovoce.primitives import ApiMisuse
from tests.backend.mux.proxies import Peer, credit, frame, stopping
from tests.backend.peers import stop
from tests.backend.proxies import DATA_START, START
from tests.backend.servers import WAIT_SECONDS, Server, serving

PCM = {"codec": "pcm16", "reply_codec": "pcm16"}
SAMPLES = array("h", range(160))
HOLDERS = (SAMPLES, memoryview(SAMPLES), bytearray(SAMPLES.tobytes()), SAMPLES.tobytes())
NO_BYTES: tuple[Any, ...] = ("text", 1, None, [1], True, object(), memoryview(SAMPLES)[::2])
ODD: Any = "of another type than is written there"
WRONG: dict[str, tuple[tuple[Any, ...], ...]] = {
    "send": (
        *((wrong,) for wrong in NO_BYTES),
        *((kind(wrong),) for wrong in NO_BYTES for kind in (Audio, Data)),
        (array("h", range(5000)),),
        (Audio(b"ab", talk_spurt=ODD),),
        (Audio(b"ab", end_of_turn=2),),  # type: ignore[arg-type]
        (Audio(b"ab", timestamp=ODD),),
        (Audio(b"ab", timestamp=True),),
    ),
    "mark": ((1,), (None,), (b"a",), (["a"],), ("\ud800",)),
    "dtmf": tuple(
        arguments
        for wrong in (True, 1.5, "1", None, -1, 65_536)
        for arguments in ((wrong,), (1, wrong), (wrong, wrong))
    ),
    "json": (({"a": math.nan},), ({"a": [math.inf]},), ([],), ("",), (1,), (b"{}",), (None,)),
    "hang_up": ((1,), (None,), (b"bye",)),
}
"""Arguments by method: each raises, in a call with audio and in one without.  `clear` takes none."""


async def misuse(call: Call) -> int:
    """Say it all; give how much of it was refused."""
    refused = 0
    for method, arguments in ((method, each) for method, wrong in WRONG.items() for each in wrong):
        try:
            await getattr(call, method)(*arguments)
        except ApiMisuse:
            refused += 1
    return refused


def test_no_method_is_left_out() -> None:
    methods = {name for name, value in vars(Call).items() if callable(value) and not name.startswith("_")}
    assert methods == {*WRONG, "clear"}


@pytest.mark.parametrize("start", [START | PCM | {"header": True}, DATA_START], ids=["audio", "data"])
@pytest.mark.parametrize("adapter", ["raw", "mux"])
def test_nothing_of_a_wrong_type_is_written(server: Server, adapter: str, start: dict[str, object]) -> None:
    async def bot(call: Call) -> None:
        server.told.put(await misuse(call))
        await call.send(b"good")
        await call.json({"what": "goes on"})

    with serving(server, bot, adapter=adapter):  # type: ignore[arg-type]
        heard = heard_by_raw(server, start) if adapter == "raw" else heard_by_mux(server, start)
        assert server.hear() == sum(map(len, WRONG.values()))
    assert heard == [b"good", {"what": "goes on"}, "stop"]


def heard_by_raw(server: Server, start: dict[str, object]) -> list[object]:
    with server.connect() as peer:
        peer.send(json.dumps(start))
        frame = peer.recv(WAIT_SECONDS)
        texts = [json.loads(peer.recv(WAIT_SECONDS)) for _ in range(2)]
        stop(peer)
    assert isinstance(frame, bytes)
    return [frame.removeprefix(bytes(7)), texts[0]["value"], texts[1]["type"]]


def heard_by_mux(server: Server, start: dict[str, object]) -> list[object]:
    with Peer(server) as peer:
        peer.say(frame("open", 1, start), credit(1, 100))
        named = [peer.hear() for _ in range(5)]
        peer.say(stopping(1))
    assert [name for name, _, _ in named[:2]] == ["opened", "credit"]
    (_, _, body), (_, _, text), (last, _, _) = named[2:]
    return [body.removeprefix(b"\0"), json.loads(text), last]


def test_the_bytes_of_whatever_holds_some_arrive_over_raw(server: Server) -> None:
    with serving(server, speak), server.connect() as peer:
        peer.send(json.dumps(START | PCM))
        assert [peer.recv(WAIT_SECONDS) for _ in range(2 * len(HOLDERS))] == [SAMPLES.tobytes()] * 2 * len(HOLDERS)
        stop(peer)


def test_the_bytes_of_whatever_holds_some_arrive_over_mux_and_other_calls_go_on(server: Server) -> None:
    with serving(server, speak, adapter="mux"), Peer(server) as peer:
        for number in (1, 2):
            peer.say(frame("open", number, START | PCM), credit(number, 100))
            assert [peer.until("audio", number)[2] for _ in range(2 * len(HOLDERS))] == [
                b"\0" + SAMPLES.tobytes()
            ] * 2 * len(HOLDERS)
        peer.say(stopping(1), stopping(2))


def test_the_bytes_of_whatever_holds_some_arrive_without_audio(server: Server) -> None:
    with serving(server, speak), server.connect() as peer:
        peer.send(json.dumps(DATA_START))
        assert [peer.recv(WAIT_SECONDS) for _ in range(2 * len(HOLDERS))] == [SAMPLES.tobytes()] * 2 * len(HOLDERS)
        stop(peer)


async def speak(call: Call) -> None:
    kind: Any = Data if call.start.is_data else Audio
    for holder in HOLDERS:
        await call.send(holder)
        await call.send(kind(holder))
