"""The server's session: its handshake, and its side of the root step (protocol §7).

(RekeyInit) → [SignatureWanted → provide_proof(wanted, …)] → RekeyResponse [RekeyVerify], receive keys of e+1 are ready
(switch) → receive under e+1;  first record under e+1 → switch, ping under e+1 → done
"""

import msgspec

from sottovoce.primitives import ApiMisuse, IllegalShare, Secret, sha384
from sottovoce.session.carriers import EpochChains
from sottovoce.session.config import HANDSHAKE_SECONDS, Carriage, ServerConfig, ServerDependencies
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.events import CredentialShown, EpochStarted, SignatureWanted
from sottovoce.session.handshake import (
    Agreement,
    EpochSecrets,
    ServerHandshake,
    TicketIssuer,
    decode_own_certificate,
    epoch_secrets,
    next_root,
    next_transcript,
)
from sottovoce.session.session import Session
from sottovoce.session.trust import LeafKind, Proof, VoiceCertificate, rekey_leaf_under
from sottovoce.session.trust.certificate import CLOCK_TOLERANCE_SECONDS
from sottovoce.session.trust.proof import verification_of
from sottovoce.wire import MAX_EPOCH, Code, FrameType, MessageType, WireError, bad_record, messages
from sottovoce.wire.messages import RekeyShare, RekeyVerify

_CLOSE_AFTER_SECONDS = 30
"""The server ends a session whose epoch is so long past its age (§7)."""
_MIN_REKEY_SECONDS = 10.0
_AGO = float("-inf")


class _Step(msgspec.Struct):
    """A root step between RekeyInit and our own switch.  `leaf` is there while it waits for its signature."""

    epoch: int
    response: bytes
    secrets: EpochSecrets
    transcript: bytes
    certificate: bytes
    decoded_certificate: VoiceCertificate
    is_of_another_anchor: bool
    """Of another than the session's: then the step is proved under the certificate that the client has."""
    leaf: bytes | None = None
    chains: EpochChains | None = None

    def wipe(self) -> None:
        self.secrets.wipe()
        if self.chains is not None:
            self.chains.wipe()


class ServerSession(Session):
    """One voice session, seen from the server."""

    _is_client = False

    def __init__(
        self, config: ServerConfig, carriage: Carriage, parts: ServerDependencies, now: float, wall: float
    ) -> None:
        """`wall` is Unix time at `now`, which is when the HTTP response was sent."""
        super().__init__(parts, now, HANDSHAKE_SECONDS)
        self._serving = parts.serving
        self._tickets = parts.tickets
        self._has_datagrams = carriage.has_datagrams
        self._wall = wall
        self._handshake: ServerHandshake | None = ServerHandshake(config, carriage, parts)
        self._transcript = b""
        self._rekey = Secret.blank("rekey", 0)
        self._issuer: TicketIssuer | None = None
        self._resumption = Secret.blank("res", 0)
        self._step: _Step | None = None
        self._last_init_at = _AGO

    def provide_proof(self, wanted: SignatureWanted, proof: Proof, now: float) -> None:
        """Answer `wanted`.  A proof that comes late, twice, or for another leaf is ignored: a flight is sealed once."""
        if now >= self._ends_at:
            self._expire(now)
        elif self._handshake is not None:
            flight = self._handshake.provide_proof(wanted.leaf, proof)
            if flight is not None:
                self._outbox.append(flight)
        elif self._step is not None and self._step.leaf == wanted.leaf:
            self._answer_step(self._step, proof)

    @property
    def has_verdict_due(self) -> bool:
        """Whether a verdict is due (`CredentialShown`): until it is there, no record is to be handed in."""
        return self._handshake is not None and self._handshake.shown is not None

    def provide_verdict(self, shown: ShownCredential, verdict: Identity | Code, now: float) -> None:
        """Answer `CredentialShown`; then see `events()` and `to_send()`.

        What comes late, twice or for another one is ignored.  If it raises, the session has ended (`internal`).
        """
        handshake = self._handshake
        if now >= self._ends_at:
            self._expire(now)
        elif handshake is not None:
            try:
                handshake.provide_verdict(shown, verdict)
                if handshake.agreement is not None:
                    self._establish(handshake.agreement, now)
            except WireError as error:
                self._fail(error.code, error.reason)
            except BaseException:
                self._fail(Code.INTERNAL, "a fault of this side")
                raise

    def request_rekey(self) -> None:
        """Ask the client to begin a root step now."""
        if self.is_open:
            self._seal(FrameType.HANDSHAKE, messages.encode_rekey_request())

    def send_clear(self, now: float) -> bool:
        """Tell the client to drop audio queued for playing.  False: not now; try again later."""
        return self._send(FrameType.CLEAR, b"", now)

    def erase(self) -> None:
        """Wipe every secret."""
        super().erase()
        if self._handshake is not None:
            self._handshake.erase()
            self._handshake = None
        self._rekey.wipe()
        self._resumption.wipe()
        if self._step is not None:
            self._step.wipe()
        self._step = None

    def _on_early_record(self, record: bytes, now: float) -> None:
        handshake = self._handshake
        if handshake is None:  # the session has ended
            return
        if self.has_verdict_due:
            raise ApiMisuse("a record was handed in while a verdict is due")
        had_leaf = handshake.leaf is not None
        self._outbox += handshake.receive(record, self._wall_at(now))
        if handshake.shown is not None:
            self._events.append(CredentialShown(handshake.shown))
        if handshake.leaf is not None and not had_leaf:
            self._events.append(SignatureWanted(LeafKind.SERVER_VERIFY, handshake.leaf))
        if handshake.agreement is not None:
            self._establish(handshake.agreement, now)

    def _establish(self, agreement: Agreement, now: float) -> None:
        self._handshake = None
        self._transcript = agreement.transcript
        self._rekey = agreement.secrets.rekey
        if agreement.state is not None:
            self._issuer = TicketIssuer(self._tickets, agreement.state)
        if agreement.identity is not None and agreement.identity.expires_at is not None:
            self._session_until = min(self._session_until, now + agreement.identity.expires_at - self._wall_at(now))
        self._open(agreement, now)
        self._end_at(now + self._epoch_seconds + _CLOSE_AFTER_SECONDS)
        self._issue_ticket(agreement.secrets.resumption, now)

    def _issue_ticket(self, resumption: Secret, now: float) -> None:
        """Send the epoch's ticket, if there is one to be had; res[e] is gone afterwards."""
        message = None if self._issuer is None else self._issuer.issue(resumption, self._wall_at(now))
        if message is not None:
            self._seal(FrameType.HANDSHAKE, message)

    def _wall_at(self, now: float) -> float:
        return self._wall + (now - self._started_at)

    def _on_handshake_frame(self, payload: bytes, now: float) -> None:
        inside = messages.split_messages(payload)
        kind, message = inside[0]
        if kind in {MessageType.REKEY_RESPONSE, MessageType.REKEY_VERIFY}:
            raise WireError(Code.REKEY_PROTOCOL, "a client sent the server's part of a root step")
        if len(inside) != 1 or kind != MessageType.REKEY_INIT:
            raise bad_record("a frame of type 6 with other messages than a client sends")
        self._on_init(message, now)

    def _on_init(self, message: bytes, now: float) -> None:
        agreement = self._agreed
        init = RekeyShare.decode_untrusted(message)
        if self._step is not None:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyInit during a root step")
        if self.epoch >= MAX_EPOCH:
            raise WireError(Code.KEY_LIMIT, "the epochs are used up")
        least = min(_MIN_REKEY_SECONDS, self._epoch_seconds / 2)
        if now < self._last_init_at + least:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyInit too soon after the last")
        if init.epoch != self.epoch + 1 or init.group != agreement.suite.group:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyInit for another epoch or group")
        self._last_init_at = now
        certificate = self._serving.certificate
        decoded = decode_own_certificate(certificate)
        try:
            share, hybrid = self._parts.kem.encapsulate(agreement.suite.group, init.share)
        except IllegalShare as error:
            raise WireError(Code.ILLEGAL_SHARE, str(error)) from None
        response = RekeyShare(init.epoch, agreement.suite.group, share).encode(MessageType.REKEY_RESPONSE)
        transcript = next_transcript(self._transcript, message, response)
        with hybrid, self._rekey as rekey:
            root = next_root(rekey, hybrid, transcript)
            secrets = epoch_secrets(root, transcript, has_datagrams=self._has_datagrams)
        is_of_another = self._issuer is not None and not self._issuer.is_of_its_anchor(decoded)
        self._step = _Step(init.epoch, response, secrets, transcript, certificate, decoded, is_of_another)
        if self._is_proof_due:
            self._step.leaf = rekey_leaf_under(transcript, self._proved_under(self._step, now))
            self._events.append(SignatureWanted(LeafKind.REKEY_VERIFY, self._step.leaf))
        else:
            self._answer_step(self._step, None)

    def _answer_step(self, step: _Step, proof: Proof | None) -> None:
        """Send RekeyResponse, with RekeyVerify where it is due, and have the new receive keys ready."""
        inside = step.response
        if proof is not None:
            verification = verification_of(proof, step.decoded_certificate)
            replacement = None if step.is_of_another_anchor else self._replacement(step)
            inside += RekeyVerify(verification, replacement).encode()
        self._rekey, self._transcript = step.secrets.rekey, step.transcript
        step.chains = self._chains_of(step.secrets, step.epoch)
        step.leaf = None
        self._seal(FrameType.HANDSHAKE, inside)

    def _proved_under(self, step: _Step, now: float) -> bytes:
        """Give the hash of the certificate that a step is proved under.  Raises WireError where there is none.

        After the anchor was replaced it is the one that the client has, as long as that is valid: the serving keys
        have stayed, and no certificate of another anchor may come in its place.
        """
        if self._issuer is None or not step.is_of_another_anchor:
            return sha384(step.certificate)
        if self._wall_at(now) > self._issuer.certificate_not_after + CLOCK_TOLERANCE_SECONDS:
            raise WireError(Code.EXPIRED, "the session's certificate has ended, and its anchor was replaced")
        return self._issuer.certificate_sha384

    def _replacement(self, step: _Step) -> bytes | None:
        """The certificate to send along, unless the client has it: from the handshake, a step before or its ticket."""
        if self._issuer is None or self._issuer.is_believed(step.certificate):
            return None
        self._issuer.replace_certificate(step.certificate, step.decoded_certificate)
        return step.certificate

    def _on_switch(self, epoch: int, now: float) -> None:  # noqa: ARG002  the client's side needs the time
        step = self._step
        if step is None or step.chains is None or epoch != step.epoch:
            raise WireError(Code.REKEY_PROTOCOL, "a switch to an epoch that is not agreed")
        self._switch_receiver(step.chains.receiver)
        self._resumption = step.secrets.resumption
        if self.epoch != epoch:  # else a datagram overtook this frame, and we have switched
            self._next_chains = step.chains
        self._step = None

    def _on_first_record_of_epoch(self, chains: EpochChains, now: float) -> None:
        """The client sends under e+1: from here on we do too; the step is done, or waits for the control stream."""
        self._next_chains = None
        is_reauthenticated = self._is_proof_due
        self._switch_sender(chains, now)
        self._switch_datagrams(now)
        self._end_at(now + self._epoch_seconds + _CLOSE_AFTER_SECONDS)
        self._events.append(EpochStarted(self.epoch, is_reauthenticated))
        self._issue_ticket(self._resumption, now)

    def _on_first_datagram_of_epoch(self, now: float) -> None:
        """The client sends under e+1, as a datagram says that has overtaken `switch` or the ping behind it."""
        step = self._step
        if step is not None and step.chains is not None:
            self._resumption = step.secrets.resumption
            self._on_first_record_of_epoch(step.chains, now)
        elif self._next_chains is not None:
            self._on_first_record_of_epoch(self._next_chains, now)
