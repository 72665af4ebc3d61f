"""The server's session: its handshake, and its side of the root step (protocol §7).

(RekeyInit) → [SignatureWanted → provide_proof(wanted, …)] → RekeyResponse [RekeyVerify], receive keys of e+1 are ready
(switch) → receive under e+1;  first record under e+1 → switch, ping under e+1 → done
"""

import msgspec

from sottovoce.primitives import ApiMisuse, IllegalShare, Secret
from sottovoce.session.carriers import EpochChains
from sottovoce.session.config import HANDSHAKE_SECONDS, Carriage, ServerConfig, ServerDependencies
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.events import CredentialShown, EpochStarted, SignatureWanted
from sottovoce.session.handshake import (
    EpochSecrets,
    ServerAgreement,
    ServerHandshake,
    TicketIssuer,
    epoch_secrets,
    next_root,
    next_transcript,
)
from sottovoce.session.session import Session
from sottovoce.session.trust import LeafKind, Proof, ServedCertificate, rekey_leaf_under
from sottovoce.session.trust.proof import verification_of
from sottovoce.wire import MAX_EPOCH, Code, FrameType, MessageType, WireError, bad_record, messages
from sottovoce.wire.messages import RekeyShare, RekeyVerify

_CLOSE_AFTER_SECONDS = 30
"""The server ends a session whose epoch is so long past its age (§7)."""
_MIN_REKEY_SECONDS = 10.0
_AGO = float("-inf")
NO_MORE_EPOCHS = "no epoch begins here any more"
"""Why a session ends that may not go on at this server."""


class _Step(msgspec.Struct):
    """A root step between RekeyInit and our own switch.  `wanted` is there while it waits for its signature."""

    epoch: int
    response: bytes
    secrets: EpochSecrets
    transcript: bytes
    wanted: SignatureWanted | None = None
    chains: EpochChains | None = None

    def wipe(self) -> None:
        self.secrets.wipe()
        if self.chains is not None:
            self.chains.wipe()


class ServerSession(Session):
    """One voice session, seen from the server."""

    __slots__ = (
        "_handshake",
        "_has_datagrams",
        "_issuer",
        "_last_init_at",
        "_lets_rekey",
        "_rekey",
        "_resumption",
        "_serving",
        "_step",
        "_tickets",
        "_transcript",
        "_wall",
    )
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
        self._lets_rekey = True

    def provide_proof(self, wanted: SignatureWanted, certificate: ServedCertificate, proof: Proof, now: float) -> None:
        """Answer `wanted` with a proof of `wanted.leaf_under(certificate)`, signed by the certificate's keys.

        A proof that comes late, twice, or for another event than the one that waits is ignored, under whichever
        certificate: a flight is sealed once.  Raises ApiMisuse, and nothing has changed, for one that waits but does
        not fit: a certificate of another anchor, a proof of another leaf, another number of signatures than keys.
        """
        if now >= self._ends_at:
            self._expire(now)
        elif self._handshake is not None:
            flight = self._handshake.provide_proof(wanted, certificate, proof)
            if flight is not None:
                self._outbox.append(flight)
        elif self._step is not None and self._step.wanted is wanted:
            verification = verification_of(proof, wanted.leaf_under(certificate), certificate)
            self._answer_step(self._step, RekeyVerify(verification, self._belief.believe(certificate)).encode())

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

    def refuse_rekey(self, now: float) -> None:
        """Let the epoch that runs be the last: the next RekeyInit ends the session with `draining`.

        So does at once one that was taken and waits for its signature.  A step that was answered is gone through.
        """
        self._lets_rekey = False
        if self._step is not None and self._step.wanted is not None:
            self.close(Code.DRAINING, now, NO_MORE_EPOCHS)

    def let_rekey(self) -> None:
        """Let epochs follow each other again."""
        self._lets_rekey = True

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
        had_wanted = handshake.wanted is not None
        self._outbox += handshake.receive(record, self._wall_at(now))
        if handshake.shown is not None:
            self._events.append(CredentialShown(handshake.shown))
        if handshake.wanted is not None and not had_wanted:
            self._events.append(handshake.wanted)
        if handshake.agreement is not None:
            self._establish(handshake.agreement, now)

    def _establish(self, agreement: ServerAgreement, now: float) -> None:
        self._handshake = None
        self._transcript = agreement.transcript
        self._rekey, self._resumption = agreement.secrets.rekey, agreement.secrets.resumption
        self._issuer = TicketIssuer(self._tickets, agreement.state)
        if agreement.identity is not None and agreement.identity.expires_at is not None:
            self._session_until = min(self._session_until, now + agreement.identity.expires_at - self._wall_at(now))
        self._open(agreement, now)
        self._end_at(now + self._epoch_seconds + _CLOSE_AFTER_SECONDS)
        self._issue_ticket(self._resumption, now)

    def _issue_ticket(self, resumption: Secret, now: float) -> None:
        """Send the epoch's ticket, if there is one to be had; res[e] is gone afterwards."""
        message = self._belief.issue(resumption, self._wall_at(now))
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
        suite = self._agreed
        init = RekeyShare.decode_untrusted(message)
        if self._step is not None:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyInit during a root step")
        if self.epoch >= MAX_EPOCH:
            raise WireError(Code.KEY_LIMIT, "the epochs are used up")
        least = min(_MIN_REKEY_SECONDS, self._epoch_seconds / 2)
        if now < self._last_init_at + least:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyInit too soon after the last")
        if init.epoch != self.epoch + 1 or init.group != suite.group:
            raise WireError(Code.REKEY_PROTOCOL, "a RekeyInit for another epoch or group")
        if not self._lets_rekey:
            raise WireError(Code.DRAINING, NO_MORE_EPOCHS)
        self._last_init_at = now
        is_proof_due, anchor_id = self._is_proof_due, self._belief.anchor_id
        if is_proof_due and not self._serving.serves(anchor_id):
            raise WireError(Code.EXPIRED, "the certificates of the session's anchor have ended")
        try:
            share, hybrid = self._parts.kem.encapsulate(suite.group, init.share)
        except IllegalShare as error:
            raise WireError(Code.ILLEGAL_SHARE, str(error)) from None
        response = RekeyShare(init.epoch, suite.group, share).encode(MessageType.REKEY_RESPONSE)
        transcript = next_transcript(self._transcript, message, response)
        with hybrid, self._rekey as rekey:
            root = next_root(rekey, hybrid, transcript)
            secrets = epoch_secrets(root, transcript, has_datagrams=self._has_datagrams)
        self._step = _Step(init.epoch, response, secrets, transcript)
        if is_proof_due:
            self._step.wanted = SignatureWanted(
                LeafKind.REKEY_VERIFY,
                anchor_id,
                lambda certificate: rekey_leaf_under(transcript, certificate.sha384),
            )
            self._events.append(self._step.wanted)
        else:
            self._answer_step(self._step, b"")

    @property
    def _belief(self) -> TicketIssuer:
        """What the session's client believes us by; there is nothing before the handshake's end."""
        if self._issuer is None:
            raise ApiMisuse("a step of a session that is not established")
        return self._issuer

    def _answer_step(self, step: _Step, verify: bytes) -> None:
        """Send RekeyResponse, with RekeyVerify where it is due, and have the new receive keys ready."""
        self._rekey, self._transcript = step.secrets.rekey, step.transcript
        step.chains = self._chains_of(step.secrets, step.epoch)
        step.wanted = None
        self._seal(FrameType.HANDSHAKE, step.response + verify)

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
