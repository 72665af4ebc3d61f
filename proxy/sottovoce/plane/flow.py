"""A flow in Python: what comes on a client's TLS line is opened, what a backend says is sealed, in plain calls.

    line: TLS ─▶ WebSocket ─▶ receiver.open ─▶ ear                               (one flush for all that a read brought)
    send_audio ─▶ sender.seal ─▶ flush: WebSocket ─▶ TLS ─▶ one write

The short way is that of a record of plain audio which nothing is in the way of: no task, no event, no object but bytes.
Everything else goes through the session, the queue and the user.
"""

from collections.abc import Sequence

import trio

from sottovoce.plane.loss import Loss, loss_of_tls
from sottovoce.plane.queue import CROWD_CONTROLS, MAX_CONTROLS, ClientQueue, Control
from sottovoce.plane.seam import MAX_REPLY_BYTES, Client, Ear, FlowStatistics, FlowUser
from sottovoce.session import ReceiveChain, SendChain, ServerSession, audio_plaintext
from sottovoce.transport import Clock, TlsLine, WsEvent
from sottovoce.wire import MAX_SMALL_RECORD_BYTES, frames

_PIECE_BYTES = 16_384
"""A client that takes so many is reading, however much waits behind them."""
_NOT_PLAIN_FLAGS = frames.UNKNOWN_FLAGS | frames.FLAG_TIMESTAMP
_AUDIO_TYPE = b"\x01"
_AGO, _NEVER = float("-inf"), float("inf")


class Flow:
    """One call's (`seam.CallFlow`)."""

    __slots__ = (
        "_events",
        "_from_client",
        "_has_written_all",
        "_heartbeat",
        "_is_padded",
        "_is_writing",
        "_line",
        "_now",
        "_open_until",
        "_owed",
        "_patience_seconds",
        "_queue",
        "_receiver",
        "_records",
        "_seal_until",
        "_sealed",
        "_sender",
        "_session",
        "_taken",
        "_user",
        "_websocket",
        "close_code",
        "ear",
        "is_clogged",
        "loss",
        "stalls_at",
    )

    def __init__(self, client: Client, session: ServerSession, clock: Clock, user: FlowUser) -> None:
        """Take over an accepted WebSocket."""
        self._line = TlsLine(client.stream)
        self._websocket = client.websocket
        self._session = session
        self._events, self._records = session.news
        self._now = clock.now
        self._user = user
        self._heartbeat = client.heartbeat
        self._patience_seconds = client.patience_seconds
        self._queue = ClientQueue(client.queue_frames)
        self._receiver: ReceiveChain | None = None
        self._sender: SendChain | None = None
        self._open_until = self._seal_until = _AGO
        self._is_padded = False
        self._sealed: list[bytes] = []  # nothing was in their way: to be written before all else
        self._owed = client.websocket.to_send()  # what the WebSocket says by itself: with the next write
        self._from_client = 0
        self._taken = 0
        self._is_writing = False
        self._has_written_all: trio.Event | None = None  # for whoever waits
        self.ear: Ear | None = None
        self.close_code: int | None = None
        self.loss: Loss | None = None
        self.is_clogged = False
        self.stalls_at = _NEVER
        self._line.begin(self)

    @property
    def is_over(self) -> bool:
        """See `CallFlow`."""
        return self._websocket.is_over

    @property
    def is_crowded(self) -> bool:
        """See `CallFlow`."""
        return self._queue.controls >= CROWD_CONTROLS

    @property
    def is_full(self) -> bool:
        """See `CallFlow`."""
        return self._queue.controls >= MAX_CONTROLS

    @property
    def has_said(self) -> bool:
        """See `CallFlow`."""
        return bool(self._queue.items or self._queue.sealed_frames)

    @property
    def statistics(self) -> FlowStatistics:
        """See `CallFlow`."""
        return FlowStatistics(self._from_client, self._queue.sealed_frames, self._queue.dropped_frames)

    def hold(self) -> None:
        """See `CallFlow`."""
        self._line.hold()

    def resume(self) -> None:
        """See `CallFlow`."""
        self._line.resume()

    def rekey(self) -> None:
        """See `CallFlow`."""
        keys = self._session.frame_keys
        if keys is None:
            self._receiver = self._sender = None
            self._open_until = self._seal_until = _AGO
        else:
            if self._receiver is None:  # the handshake is over, and perhaps nobody speaks
                self._line.rest()
            self._receiver, self._open_until, self._sender, self._seal_until, self._is_padded = keys
        self._queue.is_paced = self._session.slot_milliseconds > 0

    def rest(self) -> None:
        """See `CallFlow`."""
        self._line.rest()
        if self._receiver is not None and self._sender is not None:
            self._receiver.rest()
            self._sender.rest()

    async def drop(self) -> None:
        """See `CallFlow`."""
        self.ear = self._receiver = self._sender = None
        self._is_writing = True  # so that nobody else does
        await self._line.release()

    # What comes from the client.

    def received(self, data: bytes) -> None:
        """Open what the bytes hold."""
        ear = self.ear
        message = None if ear is None else self._websocket.receive_message(data)
        if ear is None or message is None:
            self._receive(data)
            return
        self._heartbeat.heard_at = now = self._now()
        if self._open(message, ear, now):
            self._user.settle()
            return
        ear.flush()
        if self._sealed or self._queue.items or self._owed:  # an echo's answer
            self.flush()

    def drained(self) -> None:
        """Write on: what was written before has left."""
        self.is_clogged = False
        self.stalls_at = _NEVER
        self.flush()

    def lost(self, reason: str) -> None:
        """Pass on, with what TLS knows of it."""
        del reason  # a network's own words: they tell nobody's fault
        self.loss = loss_of_tls(self._line.failure)
        self.take(self._websocket.receive_eof())
        self._user.connection_lost()

    def crashed(self, error: Exception) -> None:
        """Pass on."""
        self._user.crashed(error)

    def _receive(self, data: bytes) -> None:
        """Take whatever it is: several messages, parts of some, what is no record."""
        websocket = self._websocket
        events = websocket.receive(data)
        if websocket.outgoing:
            self._owed += websocket.to_send()
            if len(self._owed) > MAX_REPLY_BYTES:
                self.loss = Loss("the client asks and does not read the answers", is_clients_fault=True)
                self.take(events)
                self._user.connection_lost()
                return
        self.take(events)

    def take(self, events: Sequence[WsEvent]) -> None:
        """See `CallFlow`."""
        now = self._now()
        for number, event in enumerate(events):
            ear = self.ear
            if ear is None:
                self._user.arrived(events[number:])
                return
            self._heartbeat.heard_at = now
            if type(event) is not bytes:
                self._user.arrived([event])
            elif self._open(event, ear, now):
                self._user.settle()
        if self.ear is not None:
            self.ear.flush()
        if self._sealed or self._queue.items or self._owed:
            self.flush()

    def _open(self, record: bytes, ear: Ear, now: float) -> object:
        """Open one record, and tell the ear of audio; gives something true if there may be news in the session."""
        receiver = self._receiver
        if receiver is None or now >= self._open_until or len(record) > MAX_SMALL_RECORD_BYTES:
            payload = self._session.open_audio(record, now)
        else:
            try:
                plaintext = receiver.open(record).rstrip(b"\0")
            except BaseException as fault:  # noqa: BLE001  raised again, unless it is the peer's
                self._session.refuse_record(fault)
                return True
            payload = plaintext.removesuffix(_AUDIO_TYPE)
            if payload and payload is not plaintext and not payload[0] & _NOT_PLAIN_FLAGS:
                self._from_client += 1
                ear.audio(payload, 0)
                return self._events or self._records  # an echo's, a leg's that has just ended
            payload = self._session.take_opened(plaintext, len(record), now)
        if payload is not None:
            self._from_client += 1
            ear.audio(payload, 0)
        return True

    # What goes to it.

    def send_audio(self, codec_bytes: bytes, flags: int, timestamp: int | None) -> None:
        """See `CallFlow`: sealed at once, where it can be written."""
        sender, queue = self._sender, self._queue
        if (
            sender is None
            or self.is_clogged
            or self._is_writing
            or queue.items
            or self._records
            or self._events
            or self._now() >= self._seal_until
        ):
            queue.put_audio((codec_bytes, flags, timestamp))
        else:
            plaintext = audio_plaintext(codec_bytes, flags, timestamp, is_padded=self._is_padded)
            self._sealed.append(sender.seal(plaintext))
            queue.sealed_frames += 1

    def send(self, control: Control) -> None:
        """See `CallFlow`."""
        self._queue.put_control(control)

    def forget_audio(self) -> None:
        """See `CallFlow`."""
        self._queue.drop_audio()

    def forget_all(self) -> None:
        """See `CallFlow`."""
        self._queue.clear()

    def flush(self) -> None:
        """See `CallFlow`."""
        if self._is_writing or self.is_clogged:
            return
        sealed = self._sealed
        if self._queue.items or self._records or self._events or self._owed or self.close_code is not None:
            self._is_writing = True
            try:
                while self._write_once():
                    pass  # to have made room may have ended the session
            finally:
                self._is_writing = False
        elif len(sealed) == 1 and (data := self._websocket.message_alone(sealed[0])) is not None:
            sealed.clear()
            self._push(data)
        elif sealed:
            self._sealed = []
            self._write(sealed, None)
        if self._has_written_all is not None and not self.is_clogged:
            self._has_written_all.set()

    async def flush_all(self) -> None:
        """See `CallFlow`."""
        self._has_written_all = all_written = trio.Event()
        self.flush()
        await all_written.wait()

    def is_stalled(self, now: float) -> bool:
        """See `CallFlow`."""
        if now < self.stalls_at:
            return False
        if self._line.sent_bytes - self._taken < _PIECE_BYTES:
            return True
        self._renew()
        return False

    def _write_once(self) -> bool:
        """Seal and write; whether there is more, and room for it."""
        now, session, queue = self._now(), self._session, self._queue
        records, self._sealed = self._sealed, []
        had_items = bool(queue.items)
        if had_items:
            queue.seal_into(records, session, now)
        else:
            records += session.to_send()
        close_code, self.close_code = self.close_code, None
        self._write(records, close_code)
        if had_items:
            self._user.made_room()  # which may end the session: its last record goes before the close
        if queue.items and not queue.is_paced and session.may_send(now):
            self._user.falls_due(now)
        return not self.is_clogged and self.close_code is not None

    def _write(self, records: list[bytes], close_code: int | None) -> None:
        """Write records, then perhaps a close, and whatever the WebSocket owes."""
        websocket = self._websocket
        if websocket.is_open:
            for record in records:
                websocket.send_binary(record)
            if close_code is not None:
                websocket.close(close_code)
        data = websocket.to_send()
        if self._owed:
            data, self._owed = self._owed + data, b""
        if data:
            self._push(data)

    def _push(self, data: bytes) -> None:
        if self._line.write(data):
            self.is_clogged = True
            self._renew()
            self._user.falls_due(None)

    def _renew(self) -> None:
        self._taken = self._line.sent_bytes
        self.stalls_at = self._now() + self._patience_seconds
