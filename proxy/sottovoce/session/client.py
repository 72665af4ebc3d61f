"""The client's session: its handshake, and its side of the root step, which it alone begins (protocol §7).

timer or RekeyRequest → RekeyInit → (RekeyResponse [RekeyVerify]) → switch, ping under e+1 → (switch) → done
"""

import msgspec

from sottovoce.primitives import IllegalShare, KeyShare, Secret
from sottovoce.session.carriers import EpochChains
from sottovoce.session.config import HANDSHAKE_SECONDS, Carriage, ClientConfig, Dependencies
from sottovoce.session.events import EpochStarted, Event, TicketReceived
from sottovoce.session.handshake import (
    ClientAgreement,
    ClientHandshake,
    EpochSecrets,
    epoch_secrets,
    next_root,
    next_transcript,
)
from sottovoce.session.ratchet import ReceiveChain
from sottovoce.session.session import Session
from sottovoce.session.tickets import ClientTicket
from sottovoce.session.trust import (
    CertificateRefused,
    LeafKind,
    VoiceCertificate,
    check_dates,
    decode_certificate_untrusted,
    host_of,
    rekey_leaf,
    verify_certificate,
)
from sottovoce.session.trust.proof import verify_proof
from sottovoce.wire import MAX_EPOCH, Code, FrameType, MessageType, WireError, bad_record, messages
from sottovoce.wire.messages import NewTicket, RekeyShare, RekeyVerify

_ERASE_AFTER_SECONDS = 60
"""The client is gone, keys and all, so long after an epoch's age (§7)."""
_REKEY_FROM, _REKEY_SPREAD = 0.8, 0.1
_MIN_REKEY_SECONDS = 10.0
_CLOCK_MARGIN = 1.01
"""The server counts the least time between two steps on its own clock, which may run slower than ours."""
_TICKETS_PER_EPOCH = 4
_AGO = float("-inf")


class _Step(msgspec.Struct):
    """A root step that waits for the server's answer, or, once it came, for the server's switch."""

    share: KeyShare
    init: bytes
    receiver: ReceiveChain | None = None
    resumption: Secret = msgspec.field(default_factory=lambda: Secret.blank("res", 0))


class ClientSession(Session):
    """One voice session, seen from the client.  Send what `to_send()` gives right after making it: the ClientHello."""

    _is_client = True

    def __init__(self, config: ClientConfig, carriage: Carriage, parts: Dependencies, now: float, wall: float) -> None:
        """`wall` is Unix time at `now`."""
        super().__init__(parts, now, HANDSHAKE_SECONDS)
        self._config = config
        self._carriage = carriage
        self._wall = wall
        self._handshake: ClientHandshake | None = ClientHandshake(config, carriage, parts, now, wall)
        self._transcript = b""
        self._rekey = Secret.blank("rekey", 0)
        self._resumption = Secret.blank("res", 0)
        self._certificate = b""
        self._anchor_id = b""
        self._step: _Step | None = None
        self._is_reauthenticated = False
        self._rekey_at: float | None = None
        self._last_response_at = _AGO
        self._epoch_began_at = now
        self._tickets = 0
        self._verified_at = _AGO
        self._promised = 0
        self._outbox.append(self._handshake.start())

    def send_mute(self, now: float, *, muted: bool) -> bool:
        """Say that the microphone went off or on.  False: not now; try again later."""
        return self._send(FrameType.MUTE, bytes([muted]), now)

    def next_deadline(self) -> float | None:
        """When `on_deadline` has to be called; None once the session has ended."""
        deadline = super().next_deadline()
        return deadline if deadline is None or self._rekey_at is None else min(deadline, self._rekey_at)

    def on_deadline(self, now: float) -> list[Event]:
        """Do what is due: begin a root step, or end what is too old."""
        if self._rekey_at is not None and self._rekey_at <= now < self._ends_at:
            self._begin_step()
        return super().on_deadline(now)

    def erase(self) -> None:
        """Wipe every secret."""
        super().erase()
        if self._handshake is not None:
            self._handshake.erase()
            self._handshake = None
        self._rekey.wipe()
        self._resumption.wipe()
        if self._step is not None:
            self._step.share.erase()
            self._step.resumption.wipe()
            if self._step.receiver is not None:
                self._step.receiver.wipe()
        self._step = self._rekey_at = None

    def _on_early_record(self, record: bytes, now: float) -> None:
        handshake = self._handshake
        if handshake is None:  # the session has ended
            return
        answer = handshake.receive(record)
        if answer is not None:
            self._outbox.append(answer)
        if handshake.agreement is not None:
            self._establish(handshake.agreement, now)

    def _establish(self, agreement: ClientAgreement, now: float) -> None:
        self._handshake = None
        self._transcript = agreement.transcript
        self._rekey = agreement.secrets.rekey
        self._certificate = agreement.certificate
        self._anchor_id = agreement.decoded_certificate.fields.anchor_id
        self._resumption = agreement.secrets.resumption
        ticket, keys = agreement.ticket, agreement.decoded_certificate.fields
        self._verified_at = now if ticket is None else ticket.verified_at
        self._promised = (agreement.params if ticket is None else ticket).reauthenticate_every
        signed = (keys.classical, keys.pq) if ticket is None else ()
        self._open(agreement, now, tuple(key.algorithm.name for key in signed if key))
        self._epoch_began_at = now
        self._rekey_at = self._moment_of_step(now)
        self._end_at(now + self._epoch_seconds + _ERASE_AFTER_SECONDS)

    def _moment_of_step(self, began_at: float) -> float:
        """Choose the random moment of the root step that ends the epoch which began then."""
        fraction = int.from_bytes(self._parts.entropy.random(2)) / 0xFFFF
        return began_at + self._epoch_seconds * (_REKEY_FROM + _REKEY_SPREAD * fraction)

    def _begin_step(self) -> None:
        self._rekey_at = None
        if self.epoch >= MAX_EPOCH:
            self._fail(Code.KEY_LIMIT, "the epochs are used up")
            return
        group = self._agreed.group
        share = self._parts.kem.generate(group)
        init = RekeyShare(self.epoch + 1, group, share.public).encode(MessageType.REKEY_INIT)
        self._step = _Step(share, init)
        self._seal(FrameType.HANDSHAKE, init)

    def _on_handshake_frame(self, payload: bytes, now: float) -> None:
        inside = messages.split_messages(payload)
        kinds = tuple(kind for kind, _ in inside)
        if kinds[0] == MessageType.REKEY_RESPONSE and kinds[1:] in {(), (MessageType.REKEY_VERIFY,)}:
            self._on_response([message for _, message in inside], now)
        elif kinds == (MessageType.REKEY_REQUEST,):
            messages.check_rekey_request_untrusted(inside[0][1])
            self._on_request(now)
        elif kinds == (MessageType.NEW_TICKET,):
            self._on_ticket(NewTicket.decode_untrusted(inside[0][1]), now)
        elif kinds[0] in {MessageType.REKEY_INIT, MessageType.REKEY_VERIFY}:
            raise WireError(Code.REKEY_PROTOCOL, "a message of the root step that a server does not send so")
        else:
            raise bad_record("a frame of type 6 with other messages than it may hold")

    def _on_ticket(self, message: NewTicket, now: float) -> None:
        """Keep a ticket; its psk is res[e] of the epoch under which it came."""
        self._tickets += 1
        if self._tickets > _TICKETS_PER_EPOCH:
            raise WireError(Code.RATE_LIMITED, "too many tickets in an epoch")
        carriage = self._carriage
        ticket = ClientTicket(
            ticket=message.ticket,
            psk=Secret.take("psk", self._resumption.copy_for_sealing()),
            suite=self._agreed,
            binding_type=carriage.binding_type,
            authority=carriage.authority.lower(),
            path=carriage.path,
            certificate=self._certificate,
            expires_at=now + message.lifetime_seconds,
            verified_at=self._verified_at,
            reauthenticate_every=self._promised,
        )
        self._events.append(TicketReceived(ticket))

    def _on_request(self, now: float) -> None:
        """The server asks for a root step; during one this means nothing."""
        if self._rekey_at is None:
            return
        # Never later than the moment of our own, which is 80 per cent of an epoch away or more.
        self._rekey_at = self._last_response_at + min(_MIN_REKEY_SECONDS, self._epoch_seconds / 2) * _CLOCK_MARGIN
        if self._rekey_at <= now:
            self._begin_step()

    def _on_response(self, inside: list[bytes], now: float) -> None:
        step, suite = self._step, self._agreed
        if step is None or step.receiver is not None:
            raise WireError(Code.REKEY_PROTOCOL, "an unsolicited RekeyResponse")
        response = RekeyShare.decode_untrusted(inside[0])
        if response.epoch != self.epoch + 1 or response.group != suite.group:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyResponse for another epoch or group")
        due = self._is_proof_due
        if due is not (len(inside) > 1):
            raise WireError(Code.REKEY_PROTOCOL, "RekeyVerify is missing, or there although it is not due")
        transcript = next_transcript(self._transcript, step.init, inside[0])
        if due:
            self._check_reauthentication(RekeyVerify.decode_untrusted(inside[1]), transcript, now)
        try:
            hybrid = step.share.finish(response.share)
        except IllegalShare as error:
            raise WireError(Code.ILLEGAL_SHARE, str(error)) from None
        with hybrid, self._rekey as rekey:
            root = next_root(rekey, hybrid, transcript)
            secrets = epoch_secrets(root, transcript, has_datagrams=self._carriage.has_datagrams)
        self._rekey, self._transcript = secrets.rekey, transcript
        self._is_reauthenticated = due
        self._install(step, secrets, response.epoch, now)

    def _install(self, step: _Step, secrets: EpochSecrets, epoch: int, now: float) -> None:
        """Make the new receive keys ready and send under the new epoch from here on."""
        chains = self._chains_of(secrets, epoch)
        step.resumption = secrets.resumption
        step.receiver = chains.receiver
        self._switch_sender(chains, now)
        self._last_response_at = self._epoch_began_at = now

    def _on_switch(self, epoch: int, now: float) -> None:
        step = self._step
        if step is None or step.receiver is None or epoch != step.receiver.epoch:
            raise WireError(Code.REKEY_PROTOCOL, "a switch to an epoch that is not agreed")
        self._switch_receiver(step.receiver)
        self._switch_datagrams(now)
        self._resumption.wipe()
        self._resumption = step.resumption
        self._step = None
        self._tickets = 0
        self._rekey_at = self._moment_of_step(self._epoch_began_at)
        self._end_at(self._epoch_began_at + self._epoch_seconds + _ERASE_AFTER_SECONDS)
        self._events.append(EpochStarted(epoch, self._is_reauthenticated))

    def _on_first_record_of_epoch(self, chains: EpochChains, now: float) -> None:
        """Nothing: the client has switched already."""

    def _on_first_datagram_of_epoch(self, now: float) -> None:
        """Nothing: the step is done when the server has switched on the control stream."""

    def _check_reauthentication(self, message: RekeyVerify, transcript: bytes, now: float) -> None:
        """Check RekeyVerify, and the certificate it is made under, at the wall clock of now.  Raises auth_failed."""
        encoded = self._certificate if message.certificate is None else message.certificate
        certificate = decode_certificate_untrusted(encoded)
        wall = self._wall + (now - self._started_at)
        try:
            if message.certificate is None:
                check_dates(certificate, wall)
            else:
                self._check_replacement(certificate, wall)
        except CertificateRefused as error:
            raise WireError(Code.AUTH_FAILED, f"the voice certificate is refused: {error}") from None
        verify_proof(LeafKind.REKEY_VERIFY, rekey_leaf(transcript, encoded), message.verification, certificate)
        self._certificate, self._verified_at = encoded, now

    def _check_replacement(self, certificate: VoiceCertificate, wall: float) -> None:
        if certificate.fields.anchor_id != self._anchor_id:
            raise CertificateRefused("a replacement comes from another anchor")
        host = host_of(self._carriage.authority.decode("latin-1"))
        verify_certificate(certificate, self._config.anchors, host, wall)
