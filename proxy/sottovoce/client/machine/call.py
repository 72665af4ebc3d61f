"""One call from the TLS handshake to the last close_notify: what comes in, time, and the end.

What goes out by the user's wish is in `saying`.
"""

from collections.abc import Iterable

import msgspec

from sottovoce.client.channel import Channel, ChannelEvent
from sottovoce.client.errors import (
    CLEAN_CODES,
    CallEnded,
    CallError,
    ConnectFailed,
    failure_of,
    tls_failure,
    upgrade_failure,
)
from sottovoce.client.inbox import Inbox
from sottovoce.client.items import Audio, Ended, Item, Statistics, item_of
from sottovoce.client.machine.saying import Saying
from sottovoce.client.settings import CallSettings
from sottovoce.client.tally import Tally
from sottovoce.primitives import ApiMisuse
from sottovoce.session import (
    BINDING_TLS_EXPORTER,
    Beat,
    Carriage,
    ClientSession,
    ClientTicket,
    Dependencies,
    Heartbeat,
    events,
)
from sottovoce.transport import CLOSE_SECONDS, PeerClosed, TextMessage, TlsError, UpgradeAccepted, WsFailed
from sottovoce.wire import PING_BYTES, Code, frames

_ABNORMAL = 1006
_TOO_BIG = 1009
_PRIVATE_CODES = range(3000, 5000)


class CallMachine(Saying):
    """One call.  The connection to `settings.address` is there already; `wall` is Unix time at `now`."""

    def __init__(
        self, settings: CallSettings, parts: Dependencies, now: float, wall: float, *, connect_by: float
    ) -> None:
        """`connect_by` is when the server must have answered the upgrade; the voice handshake has its own limit."""
        super().__init__(settings.config)
        self._settings = settings
        self._parts = parts
        self._channel = Channel(settings.address, settings.tls)
        self._inbox = Inbox()
        self._tally = Tally(now)
        self._began_at = now
        self._wall = wall
        self._connect_by = connect_by
        self._closing_until: float | None = None
        self._lost_at: float | None = None
        self._heartbeat = Heartbeat(settings.keepalive_seconds, now)
        self._owner = b""
        self._leave_by = 0.0
        self._was_heard = False
        self.is_open = False
        """The voice keys were agreed and the call has not ended."""
        self.ended: Ended | None = None
        self.failure: CallError | None = None
        """Why the call could not be made or ended otherwise than well; None while it goes on and for a good end."""

    # What the network brings.

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the network.  Nothing that a peer sends makes it raise."""
        was_encrypted = self._channel.is_encrypted
        received = self._channel.receive(data)
        if not was_encrypted and self._channel.is_encrypted:
            self._tally.tls_done(self._channel.tls_group, now)
        self._take(received, now)
        self._refuse_stuffing()

    def _refuse_stuffing(self) -> None:
        if self._channel.is_stuffed:
            self._cut_off("the server asks for more answers than it reads")

    def receive_audio(self, data: bytes, now: float) -> bytes | None:
        """Take bytes as `receive` does, more cheaply where they are one frame of audio and no item waits: gives it.

        None: whatever came of them is to be taken, and perhaps to be sent, as after `receive`.
        """
        session = self._session
        if session is None or not self.is_open or self._inbox.has_items:
            self.receive(data, now)
            return None
        received = self._channel.receive(data)
        if len(received) == 1 and type(received[0]) is bytes:
            payload = session.open_audio(received[0], now)
            if payload is not None and not payload[0]:
                self._was_heard = True
                self._heartbeat.heard_at = now
                self._tally.received += 1
                return payload[1:]
            self._on_opened(session, payload, now, was_open=True)
        else:
            self._take(received, now)
        self._refuse_stuffing()
        return None

    def receive_eof(self, now: float) -> None:
        """Say that the network has no more bytes, or broke."""
        del now
        self._cut_off("the connection ended and nobody said why")

    def write_failed(self, now: float, *, cancelled: bool = False) -> None:
        """Say that bytes of `to_send` did not all leave: no more will (docs/protocol.md §5).

        After a cancelled write the call is over at once.  If the connection broke, what the server had said before may
        still come in and tell why; there is a limit to the wait for it.
        """
        self._channel.mute()
        if cancelled:
            self._cut_off("a write to the connection was cancelled half-way")
        elif self._lost_at is None:
            self._lost_at = now + CLOSE_SECONDS

    def to_send(self) -> bytes:
        """Give all bytes to write now, perhaps none, in this order and behind those given before."""
        return self._channel.to_send()

    @property
    def has_output(self) -> bool:
        """Whether `to_send` would give something."""
        return self._channel.has_output

    @property
    def is_over(self) -> bool:
        """Whether the connection may be closed once what `to_send` gives is written."""
        return self._channel.is_over

    @property
    def wants_more(self) -> bool:
        """Whether to read the network now.  In a call without audio, not while much waits to be taken."""
        return not (self._is_data and self.is_open and self._inbox.is_stocked)

    # Time.

    def next_deadline(self) -> float | None:
        """When `on_deadline` has to be called; None once the call is over."""
        if self.is_over:
            return None
        if self._closing_until is not None:
            return self._closing_until
        due = self._connect_by if self._session is None else self._session.next_deadline()
        beat = self._heartbeat.next_at if self.is_open else None
        return min((each for each in (due, beat, self._lost_at) if each is not None), default=None)

    def on_deadline(self, now: float) -> None:
        """Do what is due; nothing, if it is too early."""
        if self._closing_until is not None:
            if now >= self._closing_until:
                self._channel.end()
        elif self._lost_at is not None and now >= self._lost_at:
            self._cut_off("the connection broke and nobody said why")
        elif self._session is not None:
            self._settle(self._session, self._session.on_deadline(now), now)
            if self.is_open and now >= self._heartbeat.next_at:
                self._beat(self._session, now)
            if self._is_leaving and (not self._session.frames_waiting or now >= self._leave_by):
                self._hang_up(self._session, now, Code.NORMAL, "closed by this side")
        elif now >= self._connect_by:
            self._fail(self._no_answer())

    def _beat(self, session: ClientSession, now: float) -> None:
        if not self.wants_more:
            self._heartbeat.heard_at = now  # what has come lies unread
        match self._heartbeat.beat(now):
            case Beat.ASK:
                if not session.send_ping(self._parts.entropy.random(PING_BYTES), now):
                    self._heartbeat.put_off(now)
                self._settle(session, (), now)
            case Beat.GIVE_UP:
                self._cut_off("nothing was heard from the server, which did not answer pings either")
            case Beat.NOTHING:
                pass

    def close(self, now: float, code: int = Code.NORMAL, reason: str = "closed by this side") -> None:
        """End the call in good order: say so, and wait for the server's part of it.  Harmless when it is over.

        Under padding class 2 what was said before leaves first, in its slots; nothing more is taken.
        Raises ApiMisuse for a code that a WebSocket cannot close with (RFC 6455 §7.4).
        """
        if code not in CLEAN_CODES and code not in _PRIVATE_CODES:
            raise ApiMisuse("a call ends with code 1000, 1001 or one of 3000 to 4999")
        if self._session is None:
            self._fail(CallEnded("the call was given up before it was open", "call again"))
        elif self._session.frames_waiting and code == Code.NORMAL:
            if not self._is_leaving:
                self._is_leaving, self._leave_by = True, now + CLOSE_SECONDS
        else:
            self._hang_up(self._session, now, code, reason)

    def drop(self, now: float) -> None:
        """End the call without waiting for the server's part: `is_over` from here on."""
        self.close(now, Code.GOING_AWAY if self._is_leaving else Code.NORMAL)
        self._channel.end()

    def _hang_up(self, session: ClientSession, now: float, code: int, reason: str) -> None:
        session.close(code, now, reason)
        self._settle(session, session.events(), now)

    # What came of it.

    def take(self) -> Item | None:
        """Take the oldest item; None if there is none now."""
        return self._inbox.take()

    def items(self) -> list[Item]:
        """Take all items that are there."""
        return list(iter(self._inbox.take, None))

    @property
    def statistics(self) -> Statistics:
        """The figures up to now."""
        return self._tally.statistics(self._inbox.dropped)

    # The way in: channel → session → items.

    def _take(self, received: Iterable[ChannelEvent], now: float) -> None:
        for event in received:
            if self._closing_until is None:
                self._on_channel(event, now)
            elif not isinstance(event, (bytes, TextMessage)):  # what comes behind the end is ignored
                self._channel.end()
        if self._inbox.overflows and self.ended is None and not self._is_data:
            self.close(now, Code.INTERNAL, "nobody reads what the server sends")

    def _on_channel(self, event: ChannelEvent, now: float) -> None:
        session = self._session
        match event:
            case bytes() if session is not None:
                self._on_record(session, event, now)
            case UpgradeAccepted():
                self._begin_session(now)
            case TextMessage() if session is not None:
                session.close(Code.BAD_RECORD, now, "a text message")
                self._settle(session, session.events(), now)
            case PeerClosed(code=code):
                self._cut_off("the server closed the connection without ending the call", code)
            case WsFailed(reason=reason, close_code=code) if session is not None and code not in {None, _ABNORMAL}:
                session.close(Code.TOO_LARGE if code == _TOO_BIG else Code.BAD_RECORD, now, reason)
                self._settle(session, session.events(), now)
            case WsFailed(reason=reason, status=status) if session is None:
                self._fail(upgrade_failure(reason, status, str(self._settings.address)))
            case TlsError() if session is None:
                self._fail(tls_failure(event, str(self._settings.address)))
            case _:
                self._cut_off("the connection broke and nobody said why")

    def _begin_session(self, now: float) -> None:
        """The server speaks our protocol: bind the session to this connection and send its first message."""
        address = self._settings.address
        carriage = Carriage(
            BINDING_TLS_EXPORTER, self._channel.exporter, address.authority.encode(), address.target.encode()
        )
        config, tickets = self._settings.config, self._settings.tickets
        if tickets is not None:
            self._owner = tickets.owner_of(config.credential)
            config = msgspec.structs.replace(config, ticket=tickets.take(self._owner, carriage, config.suites, now))
        wall = self._wall + (now - self._began_at)
        self._tally.upgraded(now)
        self._session = ClientSession(config, carriage, self._parts, now, wall)
        self._settle(self._session, (), now)

    def _on_record(self, session: ClientSession, record: bytes, now: float) -> None:
        was_open = self.is_open
        self._on_opened(session, session.open_audio(record, now), now, was_open=was_open)

    def _on_opened(self, session: ClientSession, payload: bytes | None, now: float, *, was_open: bool) -> None:
        """After a record was opened: it was audio, or whatever it was, the session knows."""
        if payload is None:
            self._settle(session, session.events(), now)
            if self.ended is None or not self.ended.local:
                self._was_heard |= was_open
                self._heartbeat.heard_at = now
            return
        self._was_heard = True
        self._heartbeat.heard_at = now
        self._tally.received += 1
        if payload[0]:
            flags, timestamp, frame = frames.decode_audio_untrusted(payload)  # as the session has checked
            spurt, end = bool(flags & frames.FLAG_TALK_SPURT), bool(flags & frames.FLAG_END_OF_TURN)
            self._inbox.put(Audio(frame, spurt, end, timestamp))
        else:
            self._inbox.put(Audio(payload[1:]))

    def _settle(self, session: ClientSession, happened: Iterable[events.Event], now: float) -> None:
        """After each call of the session: pass on what it tells, and what it has to send."""
        for event in happened:
            self._on_session(event, now)
        for record in session.to_send():
            self._channel.send(record)
        self._tally.keys(session)
        if self.ended is not None and self._closing_until is None:
            self._closing_until = now + CLOSE_SECONDS
            if self.ended.local and not self._channel.close(self.ended.code):
                self._channel.end()

    def _on_session(self, event: events.Event, now: float) -> None:
        match event:
            case events.Established():
                self._on_established(event, now)
            case events.EpochStarted():
                self._tally.epoch_started(event)
            case events.TicketReceived(ticket=ticket):
                self._on_ticket(ticket, now)
            case events.Ended():
                self._on_ended(Ended(event.code, event.reason, truncated=event.truncated, local=event.local))
            case _ if (item := item_of(event)) is not None:
                self._inbox.put(item)
            case _:
                pass

    def _on_established(self, event: events.Established, now: float) -> None:
        self.is_open = True
        self._settings.wipe_token()
        self._tally.established(event, now)
        self._heartbeat = Heartbeat(self._settings.keepalive_seconds, now)

    def _on_ticket(self, ticket: ClientTicket, now: float) -> None:
        self._tally.ticket()
        if self._settings.tickets is None:
            ticket.erase()
        else:
            self._settings.tickets.put(self._owner, ticket, now)

    # The end.

    def _on_ended(self, ended: Ended) -> None:
        self.ended = ended
        self.failure = failure_of(ended, was_open=self.is_open, was_heard=self._was_heard)
        self.is_open = False
        self._settings.wipe_token()
        self._inbox.put(ended)

    def _cut_off(self, reason: str, code: int | None = None) -> None:
        """The connection is of no use any more; if nobody has ended the call before, it is truncated."""
        if self._session is None:
            self._fail(self._no_answer())
        elif self.ended is None:
            for event in self._session.carriage_ended(code):
                if isinstance(event, events.Ended):
                    self._on_ended(Ended(event.code, reason, truncated=True, local=False))
        self._channel.end()

    def _fail(self, failure: CallError) -> None:
        """Give up before there is a session."""
        if self.ended is None:
            self._on_ended(Ended(_ABNORMAL, str(failure), truncated=True, local=True))
            self.failure = failure
        self._channel.end()

    def _no_answer(self) -> CallError:
        where = "the HTTP upgrade" if self._channel.is_encrypted else "the TLS handshake"
        address = self._settings.address
        return ConnectFailed(
            f"{address} did not complete {where}",
            "check host and port, and that the server runs well",
            may_pass=True,
        )
