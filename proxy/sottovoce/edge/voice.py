"""One voice session over one WebSocket: the pure machine, the client's flow in the data plane, the backend's leg.

    flow ─▶ leg                    audio, which passes without this
    leg ─▶ ClientSink ─▶ flow      likewise, back
    flow ─▶ session ─▶ events      everything else
    clock: session.on_deadline

One task goes through the session's life in order: handshake, connect the backend, converse, close.  In a conversation
it only waits for the end: no task is woken for a frame.  Before and behind it asks for what comes next.  While the
backend is being connected nothing is read: TCP holds what the client sends.  A session that ends, wherever, is finished
in one place (`_finish`): the backend is told at once, the client within `CLOSE_SECONDS`.

Not here: TLS and HTTP (`connection`), what is said to whom about it (`journal`).
"""

from collections.abc import Callable, Sequence

import trio

from sottovoce.edge.call import (
    NO_LEG,
    SILENCE_SECONDS,
    Bell,
    ClientSink,
    Dues,
    Ending,
    Errands,
    Vigil,
    call_counts,
    call_end,
    call_start,
    pass_on,
    still_holds,
)
from sottovoce.edge.gate import ServedRoute
from sottovoce.edge.journal import refusal_of
from sottovoce.edge.services import EdgeServices
from sottovoce.hsm.seal import Effects
from sottovoce.observe import CallCounts
from sottovoce.plane import Client
from sottovoce.relay import BackendDown, CallEnd, Leg
from sottovoce.session import NO_MORE_EPOCHS, Carriage, CredentialCheck, Heartbeat, ServerSession, events
from sottovoce.transport import CLOSE_SECONDS, ServerWebSocket, TlsStream, WsEvent
from sottovoce.wire import Code


class VoiceCall:
    """One call, from the HTTP response to the end of the connection."""

    __slots__ = (
        "_agreed",
        "_arrived",
        "_carriage",
        "_client",
        "_crash",
        "_dues",
        "_end",
        "_ending",
        "_epochs",
        "_errands",
        "_established",
        "_flow",
        "_group",
        "_heartbeat",
        "_held",
        "_is_conversing",
        "_is_sent_away",
        "_journal",
        "_last_counts",
        "_last_leg",
        "_news",
        "_nursery",
        "_route",
        "_services",
        "_session",
        "_sink",
        "_started_at",
        "_vigil",
        "leg",
    )

    def __init__(  # noqa: PLR0913, PLR0917  what a connection knows of itself
        self,
        stream: TlsStream,
        websocket: ServerWebSocket,
        served: ServedRoute,
        carriage: Carriage,
        services: EdgeServices,
        client: str,
        agreed: Callable[[int | None], None],
    ) -> None:
        """Take over a WebSocket that was just accepted; `client` is the peer's address and port.

        `agreed` is told once that the voice handshake is over; and the code, where we refused it.
        """
        self._group = stream.core.group
        self._route = served.route
        self._services = services
        self._journal = services.journal
        self._client = client
        self._agreed = agreed
        self._carriage = carriage
        self._started_at = self._services.clock.now()
        voice = services.voice
        config = voice.session_config(served, services.credential_kinds)
        self._session = ServerSession(config, carriage, services.parts, self._started_at, self._services.clock.wall())
        self._errands = Errands(self._session, services, client, self.settle)
        self.leg: Leg | None = None
        self._last_leg: Leg | None = None
        self._last_counts: CallCounts | None = None
        self._established: events.Established | None = None
        self._end: CallEnd | None = None
        self._arrived: list[WsEvent] = []
        self._held: list[WsEvent] = []
        self._epochs = 1
        self._is_sent_away = False
        self._heartbeat = Heartbeat(voice.heartbeat_seconds, self._started_at)
        self._vigil = Vigil(self._heartbeat)
        client_side = Client(stream, websocket, voice.write_stall_seconds, voice.queue_frames, self._heartbeat)
        self._flow = services.plane.add(client_side, self._session, self)
        self._ending = Ending(self._session, self._flow)
        self._sink = ClientSink(self._flow, self.end, self.backend_spoke, self.crashed)
        self._dues = Dues(self._session, self._flow, self._vigil, self._services.clock, services.parts.entropy)
        self._news = Bell()
        self._is_conversing = False
        self._crash: Exception | None = None
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Run the call to its end.  Wipes every key on the way out."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._dues.begin(self)
                self._flow.flush()  # the answer to the request
                await self._agree()
                if self._established is not None and not self._session.has_ended:
                    await self._converse(self._established)
                while not self._flow.is_over:
                    await self._read()
                await self._flow.flush_all()
                if nursery.child_tasks:
                    nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            self._dues.end()
            try:
                self.take_events(self._session.carriage_ended())
                self._session.erase()
            finally:
                await self._flow.drop()  # whatever happens: behind this the stream is closed
                self._let_go()
        if self._crash is not None:
            raise self._crash

    def _let_go(self) -> None:
        """Drop what points back here: an ended call is freed at once, where full collections are rare."""
        self._last_counts = self.counts
        del self._flow, self._ending, self._dues, self._errands, self._sink, self._last_leg, self._agreed

    def end(self, code: Code, reason: str) -> None:
        """End the session from this side; harmless when it has ended.  The connection follows in `CLOSE_SECONDS`."""
        if self._session.has_ended:
            return
        self._ending.is_by_backend = code in {Code.BACKEND_DOWN, Code.NORMAL}
        if self._established is not None and code is Code.BACKEND_DOWN:
            self._journal.backend_lost(self._established.session_id, self._route.name, reason)
        self._session.close(code, self._services.clock.now(), reason)
        self.settle()

    def send_away(self) -> None:
        """Tell the client to reconnect elsewhere: now, or as soon as there is a session to say it in."""
        self._is_sent_away = True
        if self._established is not None:
            self.end(Code.DRAINING, "the proxy is going down")

    def recheck(self, credentials: CredentialCheck) -> bool:
        """End the call if its identity may no longer make it; gives whether that was so."""
        if self._session.has_ended or still_holds(self._established, self._carriage, credentials):
            return False
        self.end(Code.EXPIRED, "its credential was withdrawn or is at its end")
        return True

    def heed(self, effects: Effects) -> None:
        """Go on, or not, as an HSM that was sealed or unsealed lets it; what is not agreed on yet goes elsewhere."""
        if self._session.has_ended:
            return
        if effects.lets_rekey:
            self._session.let_rekey()
        elif effects.ends_calls or self._established is None or self._session.has_ended:  # `end` knows of the last
            self.end(Code.DRAINING, NO_MORE_EPOCHS)
        else:
            self._session.refuse_rekey(self._services.clock.now())
            self.settle()

    @property
    def counts(self) -> CallCounts:
        """What it has carried so far; when it is over, in all."""
        return self._last_counts or call_counts(self._flow.statistics, self._session, self._last_leg)

    # What the flow tells.

    def arrived(self, events: Sequence[WsEvent]) -> None:
        """Take what has come: in a conversation at once, else when it is asked for."""
        if self._is_conversing:
            self._receive(events)
            return
        self._flow.hold()
        self._arrived += events
        self._news.ring()

    def made_room(self) -> None:
        """Have the backend read on, if it was held up."""
        self._sink.look()

    def falls_due(self, retry_at: float | None) -> None:
        """Look at the clock."""
        if retry_at is not None:
            self._vigil.retry(retry_at)
        self._dues.wake()

    def connection_lost(self) -> None:
        """Nothing more can be read or written."""
        if self._arrived:  # it said something before, perhaps its end
            arrived, self._arrived = self._arrived, []
            self._receive(arrived)
        self.take_events(self._ending.carriage_ended())
        self.cut_off()

    def crashed(self, error: Exception) -> None:
        """Have `run` raise it."""
        self._crash = error
        self.cut_off()

    def cut_off(self) -> None:
        """Have `run` return at once, whatever waits."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    # The life of a session.

    async def _agree(self) -> None:
        while self._established is None and not self._flow.is_over:
            if self._errands.is_judging:
                await self._errands.wait_for_verdict()
                self._receive(self._take_held())
            else:
                await self._read()

    async def _converse(self, established: events.Established) -> None:
        start = call_start(established, self._route.name, self._session.epoch, self._client)
        try:
            async with self._route.connect(start, self._sink) as leg:
                if self._end is None:
                    self.leg = self._last_leg = leg
                    self._vigil.begin(self._services.clock.now())
                    self._dues.wake()
                else:
                    leg.stop(self._end)  # it ended while the backend was being connected
                try:
                    self._is_conversing = True
                    self._flow.ear = self.leg
                    self._flow.take(self._take_held())
                    self.settle()
                    while not self._session.has_ended:
                        self._flow.resume()
                        await self._news.wait()
                finally:
                    self._is_conversing = False
                    self._vigil.end()
                    self._flow.ear = None
                    self._flow.hold()
                    # Cancelled or crashed, the backend is told that the call was cut off.
                    self.take_events(self._session.carriage_ended())
        except BackendDown as down:
            self.end(Code.BACKEND_DOWN, str(down))
        finally:
            self.leg = None

    async def _read(self) -> None:
        """Wait for what comes next, and take it."""
        if not self._arrived:
            self._flow.resume()
            await self._news.wait()
        if self._established is None:
            await self._services.turnstile.go_through()
        arrived, self._arrived = self._arrived, []
        self._receive(arrived)

    def _receive(self, arrived: Sequence[WsEvent]) -> None:
        """Take what the flow does not open, or not yet."""
        now, session = self._services.clock.now(), self._session
        if arrived:
            self._heartbeat.heard_at = now
        for event in arrived:
            if self.leg is None and (session.is_open or self._errands.is_judging):
                self._held.append(event)
            elif isinstance(event, bytes):
                session.open_audio(event, now)
                self.take_events(session.events())
            else:
                self.take_events(self._ending.take(event, now))
        self.settle()

    def _take_held(self) -> list[WsEvent]:
        held, self._held = self._held, []
        return held

    # What the session says.

    def settle(self) -> None:
        """Take the session's keys, events and records after any call into it."""
        self._flow.rekey()
        self.take_events(self._session.events())
        leg = self.leg
        if leg is not None:
            leg.flush()
        self._flow.flush()

    def take_events(self, arrived: list[events.Event]) -> None:
        """Do what the session says; `settle` follows."""
        leg = self.leg
        for event in arrived:
            match event:
                case events.SignatureWanted():
                    if self._nursery is not None:
                        self._nursery.start_soon(self._errands.prove, event)
                case events.CredentialShown(shown):
                    if self._nursery is not None:
                        self._errands.show(shown, self._nursery)
                case events.Established():
                    self._on_established(event)
                case events.EpochStarted(epoch, reauthenticated):
                    self._on_epoch(epoch, reauthenticated=reauthenticated)
                case events.Ended():
                    self._finish(event)
                case _:
                    if leg is not None:
                        pass_on(event, leg)

    def _on_established(self, established: events.Established) -> None:
        self._established = established
        self._agreed(None)
        self._dues.wake()
        self._journal.session_established(self._client, self._route.name, self._group, established)
        if self._is_sent_away:
            self.send_away()
        else:
            self.recheck(self._services.parts.credentials)  # it may have been withdrawn since the verdict

    def _on_epoch(self, epoch: int, *, reauthenticated: bool) -> None:
        self._epochs += 1
        self._dues.wake()
        if self._established is not None:
            self._journal.session_rekeyed(self._established.session_id, epoch, reauthenticated=reauthenticated)

    def _finish(self, ended: events.Ended) -> None:
        """The session is over: tell the backend, begin the closing handshake, give it a limit."""
        established, ended = self._established, self._ending.explain(ended)
        self._errands.stop()
        self._flow.ear = None
        self._flow.rekey()  # to none: whoever hears of the end may have something to say to it
        self._flow.forget_all()
        self._sink.look()
        self._held.clear()
        if established is None:
            self._agreed(ended.code if ended.local else None)
            reason = refusal_of(ended, self._route.codecs)
            self._journal.session_refused(self._client, self._route.name, ended.code, reason)
        else:
            seconds = self._services.clock.now() - self._started_at
            end = self._end = call_end(ended, self.counts, seconds=seconds, epochs=self._epochs)
            leg, self.leg = self.leg, None
            if leg is not None:
                leg.stop(end)
            side = self._ending.side_of(ended)
            self._journal.session_ended(
                established.session_id, self._route.name, end, side, ended.reason, leg.statistics if leg else NO_LEG
            )
        if ended.local:
            self._flow.close_code = ended.code
        self._news.ring()
        if self._nursery is not None:
            self._nursery.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS

    def backend_said_nothing(self) -> None:
        """See `DuesUser`."""
        if self._established is not None:
            self._journal.backend_silent(self._established.session_id, self._route.name, SILENCE_SECONDS)

    def backend_spoke(self) -> None:
        """See `DuesUser`."""
        self._vigil.heard_backend()
        self._journal.backend_answered(self._route.name)
