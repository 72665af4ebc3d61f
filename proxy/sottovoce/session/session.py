"""The running session, as both roles share it: sealing, opening, control frames, clocks and the end (protocol §7–§9).

Drive it so: hand every record to `open_audio` (or `receive`), then look at `events()`; write what `to_send()` gives,
in order, before anything that `seal_audio` gives; call `on_deadline` when `next_deadline` has passed.

    record ─▶ open_audio ─▶ codec bytes, or None and events()
    codec bytes ─▶ seal_audio ─▶ record          control: send_…() ─▶ to_send()

No method raises for a peer's bytes: a fault ends the session, the last event is `Ended`, and the last record to send is
the frame that names the code.  What our own side hands in and a peer would refuse raises ApiMisuse, and nothing was
sealed.  Any other exception is a fault of ours; if `open_audio` raises one, the session has ended (`internal`).
Every secret is wiped when the session ends.  `now` is seconds of a clock that runs on while the machine sleeps
(CLOCK_BOOTTIME).
"""

from abc import abstractmethod
from enum import Enum, auto

from sottovoce.primitives import ApiMisuse
from sottovoce.session.config import SESSION_SECONDS, Dependencies
from sottovoce.session.events import Audio, Ended, Established, Event
from sottovoce.session.handshake import Agreement
from sottovoce.session.ratchet import ReceiveChain, SendChain
from sottovoce.session.talk import outbound
from sottovoce.session.talk.controls import Controls
from sottovoce.session.talk.inbound import decode_event_untrusted
from sottovoce.session.talk.meter import TokenBucket
from sottovoce.wire import (
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_SECOND,
    MAX_RECORD_BYTES,
    MAX_SMALL_RECORD_BYTES,
    PING_BYTES,
    PONGS_PER_SECOND,
    SENT_CONTROL_FRAMES_BURST,
    SENT_CONTROL_FRAMES_PER_SECOND,
    Code,
    Codec,
    FrameType,
    WireError,
    frames,
)

_AUDIO_TYPE = b"\x01"
_NOT_CALLERS_FLAGS = ~outbound.CALLERS_FLAGS
_FLAGS = [flags.to_bytes(1) for flags in range(outbound.CALLERS_FLAGS + 1)]
_AGO = float("-inf")
_NEVER = float("inf")
_OVERHEAD_BYTES = 8 + 16
"""The longest SFrame header of an ordered carrier (config, KID of 5 bytes, CTR of 2) and the tag."""
_SMALL_LIMIT = MAX_SMALL_RECORD_BYTES - _OVERHEAD_BYTES
_LARGE_LIMIT = MAX_RECORD_BYTES - _OVERHEAD_BYTES
_TAILS = [b"\x01".ljust(frames.padded_bytes(payload + 1) - payload, b"\0") for payload in range(1_300)]
"""What follows an audio payload of so many bytes in its bucket, type byte and padding; for the lengths of voice."""
_ABNORMAL = 1006
"""What a truncated end is reported as (RFC 6455 §7.1.5), unless the carriage gave a code."""


class _Phase(Enum):
    HANDSHAKE = auto()
    OPEN = auto()
    ENDED = auto()


def _wipe_chain(chain: SendChain | ReceiveChain | None) -> None:
    if chain is not None:
        chain.wipe()


class Session(Controls):
    """What ClientSession and ServerSession have in common.  See the module's text for how to drive it."""

    def __init__(self, parts: Dependencies, now: float, handshake_seconds: float) -> None:
        """Begin in the handshake, which must be over in `handshake_seconds`."""
        super().__init__()
        self._parts = parts
        self._phase = _Phase.HANDSHAKE
        self._outbox: list[bytes] = []
        self._events: list[Event] = []
        self._sender: SendChain | None = None
        self._receiver: ReceiveChain | None = None
        self._started_at = now
        self._agreement: Agreement | None = None
        self._session_until = now + SESSION_SECONDS
        self._seal_until = _AGO
        self._ends_at = now + handshake_seconds
        self._epoch_seconds = 0
        self._padded = False
        self._data_session = False
        self._next_sender: SendChain | None = None
        self._received_control = TokenBucket(CONTROL_FRAMES_PER_SECOND, CONTROL_FRAMES_BURST, now)
        self._sent_control = TokenBucket(SENT_CONTROL_FRAMES_PER_SECOND, SENT_CONTROL_FRAMES_BURST, now)
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

    @property
    def epoch(self) -> int:
        """The epoch this side sends under; 0 before the handshake is done."""
        return self._sender.epoch if self._sender else 0

    @property
    def generation(self) -> int:
        """The generation this side sends under."""
        return self._sender.generation if self._sender else 0

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
            if self._next_sender is not None:
                self._on_first_record_of_epoch(self._next_sender, now)
            if (
                plaintext.endswith(_AUDIO_TYPE)
                and not plaintext[0] & (frames.UNKNOWN_FLAGS | frames.FLAG_TIMESTAMP)
                and len(record) <= MAX_SMALL_RECORD_BYTES
                and not self._data_session
            ):
                return plaintext[:-1]
            return self._on_frame(plaintext, len(record), now)
        except WireError as error:
            self._fail(error.code, error.reason)
            return None
        except BaseException:
            self._fail(Code.INTERNAL, "a fault of this side")
            raise

    def seal_audio(
        self, codec_bytes: bytes, now: float, *, flags: int = 0, timestamp: int | None = None
    ) -> bytes | None:
        """Seal one audio frame into a record.  None: not now (the epoch is past its age, or the session is over).

        Raises ApiMisuse when `to_send()` still holds records, which must be written first, for a frame that a peer
        would refuse, and in a data session.
        """
        sender = self._sender
        if now >= self._seal_until or sender is None:
            return None
        if self._outbox or self._data_session:
            raise ApiMisuse("audio in a data session, or before the records of to_send() were written")
        if timestamp is None and not flags & _NOT_CALLERS_FLAGS:
            payload = _FLAGS[flags] + codec_bytes
        else:
            payload = outbound.audio(codec_bytes, flags, timestamp)
        length = len(payload)
        if not self._padded:
            plaintext = payload + _AUDIO_TYPE
        elif length < len(_TAILS):
            plaintext = payload + _TAILS[length]
        else:
            plaintext = (payload + _AUDIO_TYPE).ljust(min(frames.padded_bytes(length + 1), _SMALL_LIMIT), b"\0")
        if len(plaintext) > _SMALL_LIMIT:
            raise ApiMisuse("an audio frame is too large for a record")
        return sender.seal(plaintext)

    def events(self) -> list[Event]:
        """Take the events that have come up."""
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[bytes]:
        """Take the records to write, in this order, each as one binary message."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def may_send(self, now: float) -> bool:
        """Whether audio and control frames may be sealed now."""
        return now < self._seal_until

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
        return None if self._phase is _Phase.ENDED else self._ends_at

    def on_deadline(self, now: float) -> list[Event]:
        """Do what is due."""
        if now >= self._ends_at:
            self._expire(now)
        return self.events()

    def erase(self) -> None:
        """Wipe every secret.  The session cannot be used afterwards."""
        self._seal_until = _AGO
        for chain in (self._sender, self._receiver, self._next_sender):
            _wipe_chain(chain)
        self._sender = self._receiver = self._next_sender = None
        if self._agreement is not None:
            self._agreement.secrets.wipe()

    # What the roles fill in.

    @abstractmethod
    def _on_early_record(self, record: bytes, now: float) -> None:
        """Take a record of the handshake, or one that comes when all is over."""

    @abstractmethod
    def _on_handshake_frame(self, payload: bytes, now: float) -> None:
        """Take a frame of type 6."""

    @abstractmethod
    def _on_switch(self, epoch: int) -> None:
        """The peer has sealed its last record under the old epoch."""

    @abstractmethod
    def _on_first_record_of_epoch(self, chain: SendChain, now: float) -> None:
        """The first record under the new epoch has verified; `chain` is the one to send under from here on."""

    # What the roles use.

    @property
    def _agreed(self) -> Agreement:
        """What the handshake left; there is nothing before its end."""
        if self._agreement is None:
            raise ApiMisuse("a step of a session that is not established")
        return self._agreement

    @property
    def _is_proof_due(self) -> bool:
        """Whether the step that ends the current epoch carries RekeyVerify."""
        every = self._agreed.params.reauthenticate_every
        return every > 0 and self.epoch % every == 0

    def _open(self, agreement: Agreement, now: float, server_signatures: tuple[str, ...] = ()) -> None:
        """Begin epoch 1."""
        self._agreement = agreement
        secrets, params, client = agreement.secrets, agreement.params, agreement.client
        out, into = secrets.server_to_client, secrets.client_to_server
        if self._is_client:
            out, into = into, out
        self._sender = SendChain(out, 1, agreement.suite, params.messages_per_key)
        self._receiver = ReceiveChain(into, 1, agreement.suite, params.messages_per_key)
        self._epoch_seconds = params.epoch_seconds
        self._padded = params.padding != frames.PADDING_NONE
        self._data_session = client.send_codec == Codec.NONE
        self._phase = _Phase.OPEN
        self._seal_until = min(now + self._epoch_seconds, self._session_until)
        established = Established(
            session_id=params.session_id,
            suite=agreement.suite,
            epoch_seconds=params.epoch_seconds,
            messages_per_key=params.messages_per_key,
            padding=params.padding,
            send_codec=Codec(client.send_codec),
            receive_codec=Codec(client.receive_codec),
            frame_milliseconds=client.frame_milliseconds,
            metadata=client.metadata,
            identity=agreement.identity,
            server_signatures=server_signatures,
            is_resumed=agreement.is_resumed,
        )
        self._events.append(established)

    def _end_at(self, moment: float) -> None:
        """Have the session end when its epoch does, or before that when it has lasted long enough."""
        self._ends_at = min(moment, self._session_until)

    def _send(self, frame_type: FrameType, payload: bytes, now: float, *, metered: bool = True) -> bool:
        if now >= self._seal_until:
            return False
        outbound.check_kind(frame_type, from_client=self._is_client, data_session=self._data_session)
        if metered and frame_type in frames.METERED_TYPES and not self._sent_control.take(now):
            return False
        self._seal(frame_type, payload)
        return True

    def _seal(self, frame_type: FrameType, payload: bytes) -> None:
        """Seal a frame under the current epoch, whatever its age, and queue the record."""
        sender = self._sender
        if sender is None:
            raise ApiMisuse("a frame was sealed outside a session")
        limit = _LARGE_LIMIT if frame_type in frames.LARGE_TYPES else _SMALL_LIMIT
        padding = frames.PADDING_BUCKETS if self._padded else frames.PADDING_NONE
        self._outbox.append(sender.seal(frames.encode_plaintext(frame_type, payload, padding, limit)))

    def _switch_sender(self, chain: SendChain, now: float) -> None:
        """Say `switch`, the last record under the old epoch; from here on send under the new one, at once a ping."""
        self._seal(FrameType.SWITCH, chain.epoch.to_bytes(4))
        self._sender, old = chain, self._sender
        _wipe_chain(old)
        self._seal_until = min(now + self._epoch_seconds, self._session_until)
        self._seal(FrameType.PING, self._parts.entropy.random(PING_BYTES))

    def _switch_receiver(self, chain: ReceiveChain) -> None:
        """Forget the old receive keys; the next record is the first one of the new epoch."""
        self._receiver, old = chain, self._receiver
        _wipe_chain(old)

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

    def _on_frame(self, plaintext: bytes, record_bytes: int, now: float) -> bytes | None:
        number, payload = frames.split_plaintext_untrusted(plaintext)
        kind = frames.allowed_untrusted(
            number, record_bytes, from_client=not self._is_client, data_session=self._data_session
        )
        if kind is None:
            return None
        if kind is FrameType.AUDIO:
            frames.decode_audio_untrusted(payload)
            return payload
        is_echo = kind is FrameType.MARK and self._heard_mark()
        if kind in frames.METERED_TYPES and not is_echo and not self._received_control.take(now):
            raise WireError(Code.RATE_LIMITED, "too many control frames")
        self._on_control(kind, payload, now)
        return None

    def _on_control(self, kind: FrameType, payload: bytes, now: float) -> None:
        match kind:
            case FrameType.HANDSHAKE:
                self._on_handshake_frame(payload, now)
            case FrameType.SWITCH:
                self._on_switch(frames.decode_switch_untrusted(payload))
            case FrameType.CLOSE:
                code = frames.decode_close_untrusted(payload)
                self._end(Ended(code, "ended by the other side", local=False))
            case FrameType.PING:
                data = frames.decode_ping_untrusted(payload)
                if now < self._seal_until and self._pongs.take(now):
                    self._seal(FrameType.PONG, data)
            case _:
                event = decode_event_untrusted(kind, payload)
                if event is not None:
                    self._events.append(event)
