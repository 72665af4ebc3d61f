"""What goes out of a session: audio and control frames, sealed for the carrier they belong to (protocol §1, §7, §9).

    one carrier:    seal_audio ─▶ record                    send_…() ─▶ to_send()
    two carriers:   seal_datagram ─▶ datagram               send_…() ─▶ to_send(), the control stream's
                                                            pings, pongs, cover ─▶ datagrams_to_send()
    padding class 2: send_audio, send_…() ─▶ slots ─▶ on_deadline ─▶ to_send(), datagrams_to_send()

`send_audio` is right everywhere: it puts the record where it belongs.  `seal_audio` is the fast path of the carrier
that most calls have.
"""

from sottovoce.primitives import ApiMisuse
from sottovoce.session.carriers import EpochChains
from sottovoce.session.config import SESSION_SECONDS, Dependencies
from sottovoce.session.handshake import Agreement
from sottovoce.session.ratchet import SendChain
from sottovoce.session.talk import outbound
from sottovoce.session.talk.controls import Controls
from sottovoce.session.talk.meter import TokenBucket
from sottovoce.session.talk.slots import Slots
from sottovoce.wire import (
    DATAGRAM_BYTES,
    MAX_RECORD_BYTES,
    MAX_SMALL_RECORD_BYTES,
    PING_BYTES,
    SENT_CONTROL_FRAMES_BURST,
    SENT_CONTROL_FRAMES_PER_SECOND,
    Codec,
    FrameType,
    frames,
)

_AUDIO_TYPE = b"\x01"
_NOT_CALLERS_FLAGS = ~outbound.CALLERS_FLAGS
_FLAGS = [flags.to_bytes(1) for flags in range(outbound.CALLERS_FLAGS + 1)]
_AGO = float("-inf")
_OVERHEAD_BYTES = 8 + 16
"""The longest SFrame header (config, KID of 5 bytes, CTR of 2) and the tag."""
_SMALL_LIMIT = MAX_SMALL_RECORD_BYTES - _OVERHEAD_BYTES
_LARGE_LIMIT = MAX_RECORD_BYTES - _OVERHEAD_BYTES
_TAILS = [b"\x01".ljust(frames.padded_bytes(payload + 1) - payload, b"\0") for payload in range(1_300)]
"""What follows an audio payload of so many bytes in its bucket, type byte and padding; for the lengths of voice."""
_TOO_LARGE = "an audio frame is too large for a record"


def audio_plaintext(codec_bytes: bytes, flags: int, timestamp: int | None, *, is_padded: bool) -> bytes:
    """Build what is sealed of an audio frame.  Raises ApiMisuse for one that a peer would refuse."""
    if timestamp is None and not flags & _NOT_CALLERS_FLAGS:
        payload = _FLAGS[flags] + codec_bytes
    else:
        payload = outbound.audio(codec_bytes, flags, timestamp)
    length = len(payload)
    if not is_padded:
        plaintext = payload + _AUDIO_TYPE
    elif length < len(_TAILS):
        return payload + _TAILS[length]
    else:
        plaintext = (payload + _AUDIO_TYPE).ljust(min(frames.padded_bytes(length + 1), _SMALL_LIMIT), b"\0")
    if len(plaintext) > _SMALL_LIMIT:
        raise ApiMisuse(_TOO_LARGE)
    return plaintext


class Sending(Controls):
    """The part of a session that seals."""

    __slots__ = (
        "_data_session",
        "_datagram_outbox",
        "_datagram_sender",
        "_epoch_seconds",
        "_generations_before",
        "_outbox",
        "_padding",
        "_parts",
        "_seal_until",
        "_seals_no_audio",
        "_sender",
        "_sent_control",
        "_session_until",
        "_slots",
        "max_datagram_bytes",
        "oversize_frames",
    )

    _sender: SendChain | None
    _datagram_sender: SendChain | None

    def __init__(self, parts: Dependencies, now: float) -> None:
        """Begin without keys."""
        super().__init__()
        self._parts = parts
        self._outbox: list[bytes] = []
        self._datagram_outbox: list[bytes] = []
        self._sender = None
        self._datagram_sender = None
        self._slots: Slots | None = None
        self._session_until = now + SESSION_SECONDS
        self._seal_until = _AGO
        self._epoch_seconds = 0
        self._padding = frames.PADDING_NONE
        self._data_session = False
        self._seals_no_audio = False
        self._sent_control = TokenBucket(SENT_CONTROL_FRAMES_PER_SECOND, SENT_CONTROL_FRAMES_BURST, now)
        self.max_datagram_bytes = DATAGRAM_BYTES
        """What a datagram of the carriage holds now; the shell sets it.  Audio that is larger goes in order."""
        self._generations_before = 0
        self.oversize_frames = 0
        """Frames that did not fit the one size of padding class 2 and were dropped."""

    @property
    def epoch(self) -> int:
        """The epoch this side sends under; 0 before the handshake is done."""
        return self._sender.epoch if self._sender else 0

    @property
    def generation(self) -> int:
        """The generation this side sends under; with two carriers, that of the datagrams."""
        sender = self._datagram_sender or self._sender
        return sender.generation if sender else 0

    @property
    def generations(self) -> int:
        """How many generations this side has sent under, of all epochs together; none before the handshake is done."""
        return self._generations_before + (self.generation + 1 if self._sender else 0)

    @property
    def slot_milliseconds(self) -> int:
        """Under padding class 2 the time from one record to the next, else 0; `next_deadline` knows about it."""
        return self._slots.milliseconds if self._slots is not None else 0

    @property
    def frames_waiting(self) -> int:
        """How many frames wait for their slots under padding class 2; `close` would leave them behind."""
        return len(self._slots) if self._slots is not None else 0

    def seal_audio(
        self, codec_bytes: bytes, now: float, *, flags: int = 0, timestamp: int | None = None
    ) -> bytes | None:
        """Seal one audio frame into a record.  None: not now (the epoch is past its age, or the session is over).

        Raises ApiMisuse when `to_send()` still holds records, which must be written first, for a frame that a peer
        would refuse, in a data session, and under padding class 2, where `send_audio` has it wait for its slot.
        """
        sender = self._sender
        if now >= self._seal_until or sender is None:
            return None
        if self._outbox or self._seals_no_audio:
            raise ApiMisuse("audio where there is none to seal, or before the records of to_send() were written")
        return sender.seal(audio_plaintext(codec_bytes, flags, timestamp, is_padded=bool(self._padding)))

    def seal_datagram(
        self, codec_bytes: bytes, now: float, *, flags: int = 0, timestamp: int | None = None
    ) -> bytes | None:
        """Seal one audio frame into a datagram.  None: not now, as `seal_audio`.

        Empty bytes: it is larger than `max_datagram_bytes`, and its record is in `to_send()`.  Raises ApiMisuse as
        `seal_audio`, but for records that wait in `to_send()`; and where there are no datagrams.
        """
        if now >= self._seal_until:
            return None
        if self._datagram_sender is None or self._seals_no_audio:
            raise ApiMisuse("audio in a datagram, where there is none to seal")
        is_datagram = self._seal_audio_where_it_belongs(outbound.audio(codec_bytes, flags, timestamp))
        return self._datagram_outbox.pop() if is_datagram else b""

    def send_audio(self, codec_bytes: bytes, now: float, *, flags: int = 0, timestamp: int | None = None) -> bool:
        """Queue one audio frame for `to_send()` or `datagrams_to_send()`, under class 2 for its slot.

        False: not now, try again; under class 2 also while another frame still waits for its slot.  Under class 2 a
        frame that does not fit the one size is dropped, as if it had been sent, and counted in `oversize_frames`.
        Raises ApiMisuse for a frame that a peer would refuse, and in a data session.
        """
        if now >= self._seal_until:
            return False
        if self._data_session:
            raise ApiMisuse("audio in a data session")
        payload = outbound.audio(codec_bytes, flags, timestamp)
        if self._slots is not None:
            return self._wait_for_slot(self._slots, FrameType.AUDIO, payload)
        self._seal_audio_where_it_belongs(payload)
        return True

    def to_send(self) -> list[bytes]:
        """Take the records to write, in this order, each as one binary message, or behind its length on the stream."""
        outbox = self._outbox.copy()
        self._outbox.clear()
        return outbox

    def datagrams_to_send(self) -> list[bytes]:
        """Take the datagrams to send; one that cannot leave now may be dropped."""
        outbox, self._datagram_outbox = self._datagram_outbox, []
        return outbox

    def may_send(self, now: float) -> bool:
        """Whether audio and control frames may be sealed now."""
        return now < self._seal_until

    # What the machine uses.

    def _begin_to_send(self, agreement: Agreement, now: float) -> None:
        """Send from now on as was agreed."""
        params, client = agreement.params, agreement.client
        self._epoch_seconds = params.epoch_seconds
        self._padding = frames.PADDING_BUCKETS if params.padding else frames.PADDING_NONE
        self._data_session = client.send_codec == Codec.NONE
        if params.padding == frames.PADDING_CONSTANT:
            codec = client.send_codec if self._is_client else client.receive_codec
            self._slots = Slots(Codec(codec), client.frame_milliseconds, now)
        self._seals_no_audio = self._data_session or self._slots is not None
        self._seal_until = min(now + self._epoch_seconds, self._session_until)

    def _send(
        self, frame_type: FrameType, payload: bytes, now: float, *, metered: bool = True, as_datagram: bool = False
    ) -> bool:
        if now >= self._seal_until:
            return False
        if as_datagram and self._datagram_sender is None:
            raise ApiMisuse("a datagram on a carriage that has none")
        outbound.check_kind(frame_type, from_client=self._is_client, data_session=self._data_session)
        slots = self._slots if frame_type in frames.SLOT_TYPES else None
        if slots is not None and not slots.has_room(frame_type):
            return False
        if metered and frame_type in frames.METERED_TYPES and not self._sent_control.take(now):
            return False
        if slots is not None:
            return self._wait_for_slot(slots, frame_type, payload)
        self._seal(frame_type, payload, as_datagram=as_datagram)
        return True

    def _answer_ping(self, data: bytes, *, as_datagram: bool) -> None:
        """Send a pong the way the ping came, under class 2 in a slot."""
        if self._slots is None:
            self._seal(FrameType.PONG, data, as_datagram=as_datagram)
        elif self._slots.has_room(FrameType.PONG):
            self._slots.put(FrameType.PONG, data)

    def _wait_for_slot(self, slots: Slots, frame_type: FrameType, payload: bytes) -> bool:
        if not slots.fits(payload):
            self.oversize_frames += 1
            return True
        if not slots.has_room(frame_type):
            return False
        slots.put(frame_type, payload)
        return True

    def _fill_slot(self, slots: Slots, now: float) -> None:
        """Send the one record of the slot that is due; past the epoch's age there is none."""
        if now < self._seal_until:
            frame_type, payload = slots.take(now)
            self._seal(frame_type, payload, as_datagram=frame_type in frames.DATAGRAM_TYPES)
        else:
            slots.skip(now)

    def _seal_audio_where_it_belongs(self, payload: bytes) -> bool:
        """Queue an audio frame, as a datagram if there are any and it fits; whether it did."""
        if len(payload) >= _SMALL_LIMIT:
            raise ApiMisuse(_TOO_LARGE)
        return self._seal(FrameType.AUDIO, payload, as_datagram=True)

    def _seal(self, frame_type: FrameType, payload: bytes, *, as_datagram: bool = False) -> bool:
        """Seal a frame under the current epoch, whatever its age, and queue the record; whether as a datagram."""
        if self._sender is None:
            raise ApiMisuse("a frame was sealed outside a session")
        plaintext = self._plaintext(frame_type, payload)
        datagrams = self._datagram_sender
        if as_datagram and datagrams is not None and len(plaintext) + _OVERHEAD_BYTES <= self.max_datagram_bytes:
            self._datagram_outbox.append(datagrams.seal(plaintext))
            return True
        self._outbox.append(self._sender.seal(plaintext))
        return False

    def _plaintext(self, frame_type: FrameType, payload: bytes) -> bytes:
        if self._slots is not None and frame_type in frames.SLOT_TYPES:
            return frames.encode_constant(frame_type, payload, self._slots.plaintext_bytes)
        limit = _LARGE_LIMIT if frame_type in frames.LARGE_TYPES else _SMALL_LIMIT
        return frames.encode_plaintext(frame_type, payload, self._padding, limit)

    def _switch_sender(self, chains: EpochChains, now: float) -> None:
        """Say `switch`, the last record under the old epoch; from here on send under the new one, at once a ping.

        With two carriers both switch here: the ping, on the control stream, is the first record of the new epoch.
        """
        self._seal(FrameType.SWITCH, chains.sender.epoch.to_bytes(4))
        self._generations_before = self.generations
        for old in (self._sender, self._datagram_sender):
            if old is not None:
                old.wipe()
        self._sender, self._datagram_sender = chains.sender, chains.datagram_sender
        self._seal_until = min(now + self._epoch_seconds, self._session_until)
        self._seal(FrameType.PING, self._parts.entropy.random(PING_BYTES))

    def erase(self) -> None:
        """Wipe every secret."""
        self._seal_until = _AGO
        self._generations_before = self.generations
        for chain in (self._sender, self._datagram_sender):
            if chain is not None:
                chain.wipe()
        self._sender = self._datagram_sender = self._slots = None
