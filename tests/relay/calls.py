"""A call to relay, and a sink that remembers what it was told: shared by the tests of this folder."""

from collections.abc import Callable

import msgspec
import trio

from sottovoce.primitives import Suite
from sottovoce.relay import CallEnd, CallStart, CallStatistics, end_of
from sottovoce.wire import Code, Codec

START = CallStart(
    session_id=bytes(range(16)),
    route="support",
    send_codec=Codec.PCMU_8K,
    receive_codec=Codec.PCMU_8K,
    frame_milliseconds=20,
    identity="alice",
    suite=Suite.X25519MLKEM768_AES256GCM,
    epoch=1,
    epoch_seconds=300,
    metadata=b'{"language": "en", "trial": true}',
    client_address="203.0.113.9:50112",
)
DATA_START = msgspec.structs.replace(
    START, send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0, metadata=None
)
STATISTICS = CallStatistics(seconds=1.5, epochs=1, frames_from_client=3, frames_to_client=3)
END: CallEnd = end_of(Code.NORMAL, STATISTICS)


class RecordingSink:
    """Keeps every call as a tuple, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.crashes: list[Exception] = []
        self._news = trio.lowlevel.ParkingLot()
        self.is_crowded = False
        self._call_back: Callable[[], None] | None = None

    def audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        self._tell("audio", codec_bytes, flags, timestamp)

    def data(self, data: bytes) -> None:
        self._tell("data", data)

    def dtmf(self, event: int, duration_ms: int) -> None:
        self._tell("dtmf", event, duration_ms)

    def mark(self, name: str) -> None:
        self._tell("mark", name)

    def clear(self) -> None:
        self._tell("clear")

    def json(self, data: bytes) -> None:
        self._tell("json", data)

    def hung_up(self, reason: str) -> None:
        self._tell("hung_up", reason)

    def backend_closed(self, reason: str) -> None:
        self._tell("backend_closed", reason)

    def crashed(self, error: Exception) -> None:
        self.crashes.append(error)
        self._news.unpark_all()

    def flush(self) -> None:
        """Nothing waits here."""

    def has_room(self, call_back: Callable[[], None]) -> bool:
        self._call_back = call_back if self.is_crowded else None
        return not self.is_crowded

    def make_room(self) -> None:
        """There is room again."""
        self.is_crowded = False
        if self._call_back is not None:
            self._call_back()

    def named(self, name: str) -> list[tuple[object, ...]]:
        """Only what came under this name."""
        return [told for told in self.told if told[0] == name]

    async def hear(self, count: int) -> list[tuple[object, ...]]:
        """Wait until so much was told."""
        while len(self.told) < count:
            await self._news.park()
        return self.told

    async def crash(self) -> Exception:
        """Wait for one."""
        while not self.crashes:
            await self._news.park()
        return self.crashes[0]

    def _tell(self, *what: object) -> None:
        self.told.append(what)
        self._news.unpark_all()
