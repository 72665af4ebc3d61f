"""The running session, as both roles share it: sealing, opening, control frames, clocks and the end (protocol §7–§9).

Drive it so: hand every record to `open_audio` (or `receive`), then look at `events()`; write what `to_send()` gives,
in order, before anything that `seal_audio` gives; call `on_deadline` when `next_deadline` has passed.

    record ─▶ open_audio ─▶ codec bytes, or None and events()         datagram ─▶ open_datagram ─▶ likewise
    codec bytes ─▶ seal_audio ─▶ record          control: send_…() ─▶ to_send()          (`session.talk.sending`)

No method raises for a peer's bytes: a fault ends the session, the last event is `Ended`, and the last record to send is
the frame that names the code.  What our own side hands in and a peer would refuse raises ApiMisuse, and nothing was
sealed.  Any other exception is a fault of ours; if `open_audio` raises one, the session has ended (`internal`).
Every secret is wiped when the session ends.  `now` is seconds of a clock that runs on while the machine sleeps
(CLOCK_BOOTTIME).
"""

from abc import abstractmethod
from collections.abc import Sequence
from enum import Enum, auto

from sottovoce.primitives import ApiMisuse, Suite
from sottovoce.session.carriers import EpochChains, FrameKeys, LossyChain, chains_of
from sottovoce.session.config import Dependencies
from sottovoce.session.events import Audio, Ended, Event
from sottovoce.session.handshake import Agreement, EpochSecrets
from sottovoce.session.ratchet import ReceiveChain
from sottovoce.session.talk import outbound
from sottovoce.session.talk.inbound import decode_event_untrusted
from sottovoce.session.talk.meter import TokenBucket
from sottovoce.session.talk.sending import Sending
from sottovoce.wire import (
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_SECOND,
    LOSSY_FAILURES,
    MAX_RECORD_BYTES,
    MAX_SMALL_RECORD_BYTES,
    PONGS_PER_SECOND,
    Code,
    FrameType,
    WireError,
    frames,
)

_AUDIO_TYPE = b"\x01"
_NEVER = float("inf")
_ABNORMAL = 1006
"""What a truncated end is reported as (RFC 6455 §7.1.5), unless the carriage gave a code."""


class _Phase(Enum):
    HANDSHAKE = auto()
    OPEN = auto()
    ENDED = auto()


class Session(Sending):
    """What ClientSession and ServerSession have in common.  See the module's text for how to drive it."""

    __slots__ = (
        "_datagrams_lost",
        "_ends_at",
        "_events",
        "_lossy",
        "_messages_per_key",
        "_next_chains",
        "_phase",
        "_pongs",
        "_reauthenticate_every",
        "_received_control",
        "_receiver",
        "_started_at",
        "_suite",
        "_unowned",
    )

    def __init__(self, parts: Dependencies, now: float, handshake_seconds: float) -> None:
        """Begin in the handshake, which must be over in `handshake_seconds`."""
        super().__init__(parts, now)
        self._phase = _Phase.HANDSHAKE
        self._events: list[Event] = []
        self._receiver: ReceiveChain | None = None
        self._lossy: LossyChain | None = None
        self._datagrams_lost = 0
        self._started_at = now
        self._suite: Suite | None = None
        self._messages_per_key = self._reauthenticate_every = 0
        self._unowned: EpochSecrets | None = None  # of epoch 1, until chains have taken them over
        self._ends_at = now + handshake_seconds
        self._next_chains: EpochChains | None = None
        self._received_control = TokenBucket(CONTROL_FRAMES_PER_SECOND, CONTROL_FRAMES_BURST, now)
        self._pongs = TokenBucket(PONGS_PER_SECOND, PONGS_PER_SECOND, now)

    # What the shell calls.

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and the session has not ended."""
        return self._phase is _Phase.OPEN

    @property
    def has_ended(self) -> bool:
        """Whether an `Ended` was given out."""
        return self._phase is _Phase.ENDED

    def receive(self, record: bytes, now: float) -> list[Event]:
        """Take one record and give all events, audio included.  The media path uses `open_audio` instead."""
        payload = self.open_audio(record, now)
        if payload is not None:
            self._events.append(Audio(payload))
        return self.events()

    def open_audio(self, record: bytes, now: float) -> bytes | None:
        """Take one record; gives its audio (flags u8 ‖ [timestamp u32] ‖ codec bytes), or None: see `events()`."""
        receiver = self._receiver
        try:
            if now >= self._ends_at:
                self._expire(now)
                return None
            if receiver is None:
                self._on_early_record(record, now)
                return None
            if len(record) > MAX_RECORD_BYTES:
                self._fail(Code.TOO_LARGE, "a record is above the limit")
                return None
            plaintext = receiver.open(record).rstrip(b"\0")
            if self._next_chains is not None:
                self._on_first_record_of_epoch(self._next_chains, now)
            if (
                plaintext.endswith(_AUDIO_TYPE)
                and not plaintext[0] & (frames.UNKNOWN_FLAGS | frames.FLAG_TIMESTAMP)
                and len(record) <= MAX_SMALL_RECORD_BYTES
                and not self._data_session
            ):
                return plaintext[:-1]
            return self._on_frame(plaintext, len(record), now)
        except BaseException as fault:  # noqa: BLE001  raised again, unless it is the peer's
            self.refuse_record(fault)
            return None

    def open_datagram(self, record: bytes, now: float) -> bytes | None:
        """Take one datagram; gives its audio as `open_audio` does, or None: see `events()`.

        What cannot be one of the peer's, or came before, is dropped without a word (protocol §7, Lossy carrier); so is
        every datagram before the handshake ends.
        """
        lossy = self._lossy
        try:
            if now >= self._ends_at:
                self._expire(now)
                return None
            if lossy is None or len(record) > MAX_RECORD_BYTES:
                return None
            epoch = lossy.epoch
            plaintext = lossy.open(record, now)
            if plaintext is None:
                if lossy.failures >= LOSSY_FAILURES:
                    self._fail(Code.DECRYPT_FAILED, "too many datagrams of an epoch did not open")
                return None
            plaintext = plaintext.rstrip(b"\0")
            if lossy.epoch != epoch:
                self._on_first_datagram_of_epoch(now)
            if (
                plaintext.endswith(_AUDIO_TYPE)
                and not plaintext[0] & (frames.UNKNOWN_FLAGS | frames.FLAG_TIMESTAMP)
                and len(record) <= MAX_SMALL_RECORD_BYTES
                and not self._data_session
            ):
                return plaintext[:-1]
            return self._on_frame(plaintext, len(record), now, is_datagram=True)
        except BaseException as fault:  # noqa: BLE001  raised again, unless it is the peer's
            self.refuse_record(fault)
            return None

    @property
    def frame_keys(self) -> FrameKeys | None:
        """What a data plane opens and seals audio with, until any other method is called; None: not now."""
        receiver, sender = self._receiver, self._sender
        if not (receiver and sender) or self._next_chains or self._seals_no_audio or self._lossy:
            return None
        return FrameKeys(receiver, self._ends_at, sender, self._seal_until, bool(self._padding))

    def take_opened(self, plaintext: bytes, record_bytes: int, now: float) -> bytes | None:
        """Take a frame that a data plane has opened and leaves to us; gives what `open_audio` does."""
        try:
            return self._on_frame(plaintext, record_bytes, now)
        except BaseException as fault:  # noqa: BLE001  raised again, unless it is the peer's
            self.refuse_record(fault)
            return None

    def refuse_record(self, fault: BaseException) -> None:
        """End the session: a record did not open, or could not be taken.  Raises what is no fault of the peer's."""
        if not isinstance(fault, WireError):
            self._fail(Code.INTERNAL, "a fault of this side")
            raise fault
        self._fail(fault.code, fault.reason)

    @property
    def datagrams_lost(self) -> int:
        """How many of the peer's datagrams have not come, as far as the numbers of those that came tell."""
        return self._lossy.lost if self._lossy is not None else self._datagrams_lost

    @property
    def news(self) -> tuple[Sequence[Event], Sequence[bytes]]:
        """What `events` and `to_send` will give, for as long as the session lives: to be looked at, not touched."""
        return self._events, self._outbox

    def events(self) -> list[Event]:
        """Take the events that have come up."""
        events, self._events[:] = [*self._events], ()
        return events

    def close(self, code: int, now: float, reason: str = "closed by this side") -> None:
        """End the session: the last record names `code`.  Harmless when it has ended."""
        outbound.code(code)
        if now >= self._ends_at:
            self._expire(now)
        self._fail(code, reason)

    def carriage_ended(self, code: int | None = None) -> list[Event]:
        """Say that the connection is gone; `code` is what its closing handshake claimed, a hint and no more."""
        if self._phase is not _Phase.ENDED:
            where = "during the handshake" if self._phase is _Phase.HANDSHAKE else "and nobody said why"
            self._end(Ended(code or _ABNORMAL, f"the connection ended {where}", local=False, truncated=True))
        return self.events()

    def next_deadline(self) -> float | None:
        """When `on_deadline` has to be called; None once the session has ended."""
        if self._phase is _Phase.ENDED:
            return None
        due = self._ends_at
        if self._slots is not None:
            due = min(due, self._slots.due_at)
        if self._lossy is not None and self._lossy.forget_at is not None:
            due = min(due, self._lossy.forget_at)
        return due

    @property
    def ends_at(self) -> float | None:
        """When the session ends if nothing renews it; None once it has.  Slots and the like fall due before."""
        return None if self._phase is _Phase.ENDED else self._ends_at

    def on_deadline(self, now: float) -> list[Event]:
        """Do what is due; under padding class 2 at most one slot, so look at `next_deadline` again."""
        if now >= self._ends_at:
            self._expire(now)
        if self._lossy is not None:
            self._lossy.forget(now)
        if self._slots is not None and now >= self._slots.due_at:
            self._fill_slot(self._slots, now)
        return self.events()

    def erase(self) -> None:
        """Wipe every secret.  The session cannot be used afterwards."""
        super().erase()
        self._datagrams_lost = self.datagrams_lost
        for keys in (self._receiver, self._lossy, self._next_chains):
            if keys is not None:
                keys.wipe()
        self._receiver = self._lossy = self._next_chains = None
        if self._unowned is not None:
            self._unowned.wipe()
            self._unowned = None

    # What the roles fill in.

    @abstractmethod
    def _on_early_record(self, record: bytes, now: float) -> None:
        """Take a record of the handshake, or one that comes when all is over."""

    @abstractmethod
    def _on_handshake_frame(self, payload: bytes, now: float) -> None:
        """Take a frame of type 6."""

    @abstractmethod
    def _on_switch(self, epoch: int, now: float) -> None:
        """The peer has sealed its last record under the old epoch, on this carrier."""

    @abstractmethod
    def _on_first_record_of_epoch(self, chains: EpochChains, now: float) -> None:
        """The first record under the new epoch has verified; `chains` are those to send under from here on."""

    @abstractmethod
    def _on_first_datagram_of_epoch(self, now: float) -> None:
        """A datagram under the new epoch has verified, perhaps before the control stream has come so far."""

    # What the roles use.

    @property
    def _agreed(self) -> Suite:
        """What the handshake came to; there is nothing before its end."""
        if self._suite is None:
            raise ApiMisuse("a step of a session that is not established")
        return self._suite

    @property
    def _is_proof_due(self) -> bool:
        """Whether the step that ends the current epoch carries RekeyVerify."""
        every = self._reauthenticate_every
        return every > 0 and self.epoch % every == 0

    def _open(self, agreement: Agreement, now: float, server_signatures: tuple[str, ...] = ()) -> None:
        """Begin epoch 1.  Of the secrets in `agreement`, `rekey` and `resumption` are the role's already."""
        self._unowned = agreement.secrets
        params, suite = agreement.params, agreement.suite
        self._suite, self._messages_per_key = suite, params.messages_per_key
        self._reauthenticate_every = params.reauthenticate_every
        chains = chains_of(agreement.secrets, 1, suite, params.messages_per_key, is_client=self._is_client)
        self._sender, self._receiver, self._datagram_sender = chains.sender, chains.receiver, chains.datagram_sender
        if chains.datagram_base is not None:
            self._lossy = LossyChain(chains.datagram_base, 1, suite, params.messages_per_key)
        self._begin_to_send(agreement, now)
        self._phase = _Phase.OPEN
        self._events.append(agreement.established(server_signatures))
        self._unowned = None

    def _end_at(self, moment: float) -> None:
        """Have the session end when its epoch does, or before that when it has lasted long enough."""
        self._ends_at = min(moment, self._session_until)

    def _switch_receiver(self, chain: ReceiveChain) -> None:
        """Forget the old receive keys; the next record is the first one of the new epoch."""
        self._receiver, old = chain, self._receiver
        if old is not None:
            old.wipe()

    def _chains_of(self, secrets: EpochSecrets, epoch: int) -> EpochChains:
        """Make the chains of a new epoch, and have datagrams under it open from here on."""
        chains = chains_of(secrets, epoch, self._agreed, self._messages_per_key, is_client=self._is_client)
        if self._lossy is not None and chains.datagram_base is not None:
            self._lossy.prepare(chains.datagram_base)
        return chains

    def _switch_datagrams(self, now: float) -> None:
        """The control stream is in the new epoch: so are datagrams, if none has said so."""
        if self._lossy is not None:
            self._lossy.begin_epoch(now)

    def _expire(self, now: float) -> None:
        """End what has reached `_ends_at`."""
        if self._phase is _Phase.HANDSHAKE:
            self._fail(Code.EXPIRED, "the handshake took too long")
        elif now >= self._session_until:
            self._fail(Code.EXPIRED, "the session or its credential is at its end")
        else:
            self._fail(Code.EXPIRED, "an epoch was not renewed in time")

    def _fail(self, code: int, reason: str) -> None:
        """End the session from this side; once it is open, its last record says so."""
        if self._phase is _Phase.ENDED:
            return
        try:
            if self._sender is not None:
                self._seal(FrameType.CLOSE, code.to_bytes(2))
        finally:
            self._end(Ended(code, reason, local=True))

    def _end(self, ended: Ended) -> None:
        self._phase = _Phase.ENDED
        self._ends_at = _NEVER
        self._events.append(ended)
        self.erase()

    # Frames that come in.

    def _on_frame(self, plaintext: bytes, record_bytes: int, now: float, *, is_datagram: bool = False) -> bytes | None:
        number, payload = frames.split_plaintext_untrusted(plaintext)
        kind = frames.allowed_untrusted(
            number,
            record_bytes,
            from_client=not self._is_client,
            data_session=self._data_session,
            ordered=not is_datagram,
        )
        if kind is None:
            return None
        if kind is FrameType.AUDIO:
            frames.decode_audio_untrusted(payload)
            return payload
        is_echo = kind is FrameType.MARK and self._heard_mark()
        if kind in frames.METERED_TYPES and not is_echo and not self._received_control.take(now):
            raise WireError(Code.RATE_LIMITED, "too many control frames")
        self._on_control(kind, payload, now, is_datagram=is_datagram)
        return None

    def _on_control(self, kind: FrameType, payload: bytes, now: float, *, is_datagram: bool) -> None:
        match kind:
            case FrameType.HANDSHAKE:
                self._on_handshake_frame(payload, now)
            case FrameType.SWITCH:
                self._on_switch(frames.decode_switch_untrusted(payload), now)
            case FrameType.CLOSE:
                code = frames.decode_close_untrusted(payload)
                self._end(Ended(code, "ended by the other side", local=False))
            case FrameType.PING:
                data = frames.decode_ping_untrusted(payload)
                if now < self._seal_until and self._pongs.take(now):
                    self._answer_ping(data, as_datagram=is_datagram)
            case _:
                event = decode_event_untrusted(kind, payload)
                if event is not None:
                    self._events.append(event)
