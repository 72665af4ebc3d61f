"""What a user of the blocking client holds: `connect` and `Call`."""

import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Unpack

from sottovoce.client.errors import CallEnded
from sottovoce.client.items import Audio, Ended, Item, Mark, Statistics
from sottovoce.client.settings import CallOptions, ConnectOptions, settings_for
from sottovoce.client.sync.link import Link
from sottovoce.client.sync.opening import dial_tcp, open_call
from sottovoce.transport import Clock, SystemClock
from sottovoce.wire import Code


class Call:
    """A call that is open: made by `connect`.

    Several threads may send; one reads, in order, whatever comes.  Where the call ends well the last item is `Ended`;
    where it does not, a `CallError` is raised behind all items, and by whoever wants to send.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def send(
        self, frame: bytes, *, talk_spurt: bool = False, end_of_turn: bool = False, timestamp: int | None = None
    ) -> None:
        """Send one frame of audio, an empty one for silence.

        Waits while the connection is full, or while the keys are too old; frames leave in the order of the calls.
        """
        machine = self._link.machine
        self._link.say(
            lambda now: machine.send_audio(
                frame, now, talk_spurt=talk_spurt, end_of_turn=end_of_turn, timestamp=timestamp
            )
        )

    def send_data(self, data: bytes) -> None:
        """Send up to 8 000 bytes, in a call without audio (`codec=Codec.NONE`); they arrive whole, as one `Data`."""
        self._link.say(lambda now: self._link.machine.send_data(data, now))

    def dtmf(self, event: int, duration_ms: int = 160) -> None:
        """Press a key of the telephone: 0–9, 10 for *, 11 for #, 12–15 for A–D."""
        self._link.say(lambda now: self._link.machine.send_dtmf(event, duration_ms, now))

    def json(self, value: Mapping[str, object]) -> None:
        """Send a JSON object of at most 4 000 bytes to the application at the other end."""
        self._link.say(lambda now: self._link.machine.send_json(value, now))

    def mute(self, *, muted: bool = True) -> None:
        """Say that the microphone went off, or on."""
        self._link.say(lambda now: self._link.machine.send_mute(now, muted=muted))

    def mark_played(self, mark: Mark | str) -> None:
        """Answer a `Mark`: all audio that came before it has been played."""
        name = mark.name if isinstance(mark, Mark) else mark
        self._link.say(lambda now: self._link.machine.send_mark(name, now))

    def close(self, code: int = Code.NORMAL) -> None:
        """End the call, and wait until the server has heard it, for five seconds at most.  Harmless when it is over."""
        self._link.close(code)

    def receive(self, timeout: float | None = None) -> Item:
        """Give the next item.  Raises TimeoutError after so many seconds without one, CallEnded behind the last one.

        With 0 it gives what has come, and does not wait for more.
        """
        item = self._link.next_item(timeout)
        if item is None:
            raise CallEnded("the call has ended, and all that came has been taken", "make a new call")
        return item

    def __iter__(self) -> Iterator[Item]:
        while (item := self._link.next_item()) is not None:
            yield item

    def audio(self) -> Iterator[Audio]:
        """Iterate over the audio alone.  Everything else that comes meanwhile is passed over, marks included."""
        return (item for item in self if isinstance(item, Audio))

    @property
    def statistics(self) -> Statistics:
        """The figures up to now; they stay when the call is over."""
        return self._link.machine.statistics

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None while it goes on."""
        return self._link.machine.ended


@contextmanager
def connect(
    url: str, *, sock: socket.socket | None = None, clock: Clock | None = None, **options: Unpack[ConnectOptions]
) -> Generator[Call]:
    """Make a call, for use in `with`.  Raises CallError if none comes about; no audio has left then.

    - `url`: `wss://host:port/route`.  `options`: `anchor` and others, which `ConnectOptions` tells.
    - `sock`: a connection to the server that is there already, to be taken over.  `clock`: for tests.

    Left in good order, the block ends the call with code 1000, otherwise with 1001.
    """
    chosen = CallOptions(**options)
    del options  # this frame lives as long as the call, and may be shown in a traceback
    settings = settings_for(url, chosen)
    del chosen
    link = open_call(settings, clock or SystemClock(), dial_tcp if sock is None else lambda _: sock)
    code = Code.GOING_AWAY
    try:
        yield Call(link)
        code = Code.NORMAL
    finally:
        link.close(code)
