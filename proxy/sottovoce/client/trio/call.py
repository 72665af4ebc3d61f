"""What a user holds: `connect` and `Call`.  How bytes move is in `link`, what they mean in `client.machine`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from sottovoce.client.address import Address
from sottovoce.client.continuity import TicketStore
from sottovoce.client.items import Audio, Ended, Item, Mark, Statistics
from sottovoce.client.settings import KEEPALIVE_SECONDS, CallOptions, settings_for
from sottovoce.client.trio.link import Link
from sottovoce.client.trio.opening import Dial, dial_tcp, open_call
from sottovoce.primitives import DEFAULT_SUITES, Secret, Signer, Suite
from sottovoce.session import Anchor
from sottovoce.transport import Clock, PqPolicy, SystemClock
from sottovoce.wire import Code, Codec


class Call:
    """A call that is open: made by `connect`.

    Several tasks may send; one reads, in order, whatever comes: `async for item in call`.  Where the call ends well the
    last item is `Ended`; where it does not, a `CallError` is raised behind all items, and by whoever wants to send.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._is_told = False

    async def send(
        self, frame: bytes, *, talk_spurt: bool = False, end_of_turn: bool = False, timestamp: int | None = None
    ) -> None:
        """Send one frame of audio, an empty one for silence.

        Waits while the connection is full, or while the keys are too old; frames leave in the order of the calls.
        """
        machine = self._link.machine
        await self._link.say(
            lambda now: machine.send_audio(
                frame, now, talk_spurt=talk_spurt, end_of_turn=end_of_turn, timestamp=timestamp
            )
        )

    async def send_data(self, data: bytes) -> None:
        """Send up to 8 000 bytes, in a call without audio (`codec=Codec.NONE`); they arrive whole, as one `Data`."""
        await self._link.say(lambda now: self._link.machine.send_data(data, now))

    async def dtmf(self, event: int, duration_ms: int = 160) -> None:
        """Press a key of the telephone: 0–9, 10 for *, 11 for #, 12–15 for A–D."""
        await self._link.say(lambda now: self._link.machine.send_dtmf(event, duration_ms, now))

    async def json(self, value: Mapping[str, object]) -> None:
        """Send a JSON object of at most 4 000 bytes to the application at the other end."""
        await self._link.say(lambda now: self._link.machine.send_json(value, now))

    async def mute(self, *, muted: bool = True) -> None:
        """Say that the microphone went off, or on."""
        await self._link.say(lambda now: self._link.machine.send_mute(now, muted=muted))

    async def mark_played(self, mark: Mark | str) -> None:
        """Answer a `Mark`: all audio that came before it has been played."""
        name = mark.name if isinstance(mark, Mark) else mark
        await self._link.say(lambda now: self._link.machine.send_mark(name, now))

    async def close(self, code: int = Code.NORMAL) -> None:
        """End the call, and wait until the server has heard it, for five seconds at most.  Harmless when it is over."""
        await self._link.close(code)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        await trio.lowlevel.checkpoint_if_cancelled()
        while (item := self._link.take()) is None:
            if self._is_told or (self._link.has_ended and self.ended is None):
                await trio.lowlevel.checkpoint()
                raise self._link.failure or StopAsyncIteration
            await self._link.news.park()
        self._is_told = isinstance(item, Ended)
        await trio.lowlevel.cancel_shielded_checkpoint()  # the item is taken: cancelled from here on it would be lost
        if self._is_told and self._link.failure is not None:
            raise self._link.failure
        return item

    def audio(self) -> AsyncIterator[Audio]:
        """Iterate over the audio alone.  Everything else that comes meanwhile is passed over, marks included."""
        return _AudioAlone(self)

    @property
    def statistics(self) -> Statistics:
        """The figures up to now; they stay when the call is over."""
        return self._link.machine.statistics

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None while it goes on."""
        return self._link.machine.ended


class _AudioAlone:
    """No generator: one that is left before its end would have to be closed by hand."""

    def __init__(self, items: AsyncIterator[Item]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Audio]:
        return self

    async def __anext__(self) -> Audio:
        while not isinstance(item := await self._items.__anext__(), Audio):
            pass
        return item


@asynccontextmanager
async def connect(  # noqa: PLR0913  each is a choice of the user's, by name
    url: str,
    *,
    anchor: str | Path | bytes | tuple[Anchor, ...],
    ca: str | Path | bytes | None = None,
    token: str | Path | Secret | None = None,
    key: str | Path | Signer | None = None,
    certificate: str | Path | None = None,
    certificate_key: str | Path | None = None,
    codec: Codec = Codec.PCM16_16K,
    receive_codec: Codec | None = None,
    frame_ms: int | None = None,
    metadata: Mapping[str, object] | None = None,
    pq: PqPolicy = PqPolicy.PREFER,
    suites: tuple[Suite, ...] = DEFAULT_SUITES,
    keepalive: float = KEEPALIVE_SECONDS,
    tickets: TicketStore | None = None,
    stream: trio.abc.Stream | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[Call]:
    """Make a call, for use in `async with`.  Raises CallError if none comes about; no audio has left then.

    - `url`: `wss://host:port/route`.  `anchor`: whom to trust: the anchor file, its content, or anchors.
    - `ca`: the CA of the TLS certificate, as a file or PEM bytes; None for those that the system trusts.
    - Who you are, where the server wants to know, one of: `token`: the text itself as str, or a file that holds it as
      Path; `key`: the PEM file of a private key (Ed25519, P-384, ML-DSA), or what signs with one; `certificate` with
      `certificate_key`: PEM files for the outer TLS, which then says to the network whose certificate it is.
    - `codec`, `receive_codec` (the same unless given), `frame_ms` (20): what is spoken.  `Codec.NONE` is a call without
      audio: `send_data` and the item `Data`.  `metadata`: for the backend.
    - `pq`: post-quantum key agreement in TLS.  `suites`: what the voice protocol offers; there is no second offer.
    - `keepalive`: after so many seconds of silence the server is pinged; after three times as many, without an answer,
      the call counts as cut off.  `tickets`: where tickets are kept, and taken from for a shorter handshake.
    - `stream`: a connection to the server that is there already, to be taken over.  `clock`: for tests.

    Left in good order, the block ends the call with code 1000, otherwise with 1001.
    """
    options = CallOptions(
        anchor=anchor,
        ca=ca,
        token=token,
        key=key,
        certificate=certificate,
        certificate_key=certificate_key,
        codec=codec,
        receive_codec=receive_codec,
        frame_ms=frame_ms,
        metadata=metadata,
        pq=pq,
        suites=suites,
        keepalive=keepalive,
        tickets=tickets,
    )
    del token, key  # this frame lives as long as the call, and may be shown in a traceback
    settings = settings_for(url, options)
    del options
    link = await open_call(settings, clock or SystemClock(), dial_tcp if stream is None else _taking(stream))
    try:
        yield Call(link)
    except BaseException:
        await link.close(Code.GOING_AWAY)
        raise
    await link.close(Code.NORMAL)


def _taking(stream: trio.abc.Stream) -> Dial:
    """Give what hands out a connection that is there already."""

    async def dial(_: Address) -> trio.abc.Stream:
        await trio.lowlevel.cancel_shielded_checkpoint()
        return stream

    return dial
