"""The client's side of the handshake (protocol §3, §4, §6).

    start() → ClientHello;  receive(HelloRetry) → ClientHello;  receive(ServerHello) → nothing;
    receive(server's flight) → client's flight, and `agreement` is there.

A ticket that may be used here is offered; its psk is erased when ServerHello came, accepted or not.

`receive` raises WireError for a peer that breaks a rule; the handshake is then over and everything is to be erased.
The credential leaves only after ServerVerify and ServerFinished were verified.
"""

import hmac
from enum import Enum, auto

import msgspec

from sottovoce.primitives import IllegalShare, Secret, Suite, wipe_bytes
from sottovoce.session.config import Carriage, ClientConfig, Credential, Dependencies
from sottovoce.session.credentials import CLIENT_VERIFY_LABEL
from sottovoce.session.handshake.agreement import ClientAgreement
from sottovoce.session.handshake.offer import Offer, usable_ticket
from sottovoce.session.handshake.own import check_carriage, check_client_config, check_credential
from sottovoce.session.handshake.parameters import HandshakeBudget, check_server_params
from sottovoce.session.handshake.schedule import (
    HandshakeSecrets,
    epoch_secrets,
    finished_mac,
    first_root,
    handshake_secrets,
    open_flight_untrusted,
    seal_flight,
)
from sottovoce.session.handshake.transcript import Transcript, prologue
from sottovoce.session.trust import (
    Anchor,
    CertificateRefused,
    LeafKind,
    VoiceCertificate,
    decode_certificate_untrusted,
    handshake_leaf,
    host_of,
    verify_certificate,
)
from sottovoce.session.trust.proof import verify_proof
from sottovoce.wire import Code, MessageType, WireError, bad_record, messages, records
from sottovoce.wire.messages import (
    ClientCredential,
    ClientHello,
    ClientParams,
    ClientVerify,
    HelloRetry,
    ServerHello,
    ServerParams,
    Verification,
)

_FLIGHT = (
    MessageType.SERVER_PARAMS,
    MessageType.SERVER_CERTIFICATE,
    MessageType.SERVER_VERIFY,
    MessageType.SERVER_FINISHED,
)
_RESUMED_FLIGHT = (MessageType.SERVER_PARAMS, MessageType.SERVER_FINISHED)
_RANDOM_BYTES = 32
_MAX_GREASE_BYTES = 8


class _State(Enum):
    START = auto()
    HELLO_SENT = auto()
    RETRIED = auto()
    OVER = auto()


class ClientHandshake:
    """Drives one handshake to a `ClientAgreement`."""

    def __init__(self, config: ClientConfig, carriage: Carriage, parts: Dependencies, now: float, wall: float) -> None:
        """`wall` is Unix time at `now`; against it certificates are judged."""
        check_client_config(config)
        check_carriage(carriage)
        check_credential(config.credential, carriage.binding_type)
        self._config = config
        self._carriage = carriage
        self._parts = parts
        self._wall = wall
        self._transcript = Transcript(
            prologue(carriage.binding_type, carriage.binding, carriage.authority, carriage.path)
        )
        self._budget = HandshakeBudget()
        self._state = _State.START
        self._secrets: HandshakeSecrets | None = None
        self._suite = config.suites[0]
        self._offered = usable_ticket(config, carriage, now, wall)
        self._accepted: Offer | None = None
        self.agreement: ClientAgreement | None = None
        self._hello = self._make_hello()
        self._share = parts.kem.generate(self._suite.group)

    def start(self) -> bytes:
        """Make the record of the first ClientHello, with one share: of the group of the preferred suite."""
        self._state = _State.HELLO_SENT
        return self._send_hello()

    def receive(self, record: bytes) -> bytes | None:
        """Take the server's next record; gives the record to answer with, if one is due.  Raises WireError."""
        if self._secrets is not None:
            return self._on_flight(record, self._secrets)
        if self._state not in {_State.HELLO_SENT, _State.RETRIED}:
            raise bad_record("a handshake record out of order")
        message_type, message = records.decode_plain_untrusted(record)
        self._budget.count(message)
        if message_type == MessageType.HELLO_RETRY:
            return self._on_retry(message)
        if message_type == MessageType.SERVER_HELLO:
            self._on_server_hello(message)
            return None
        raise bad_record("neither ServerHello nor HelloRetry")

    def erase(self) -> None:
        """Wipe what is left; harmless when called again."""
        self._state = _State.OVER
        self._share.erase()
        if self._secrets is not None:
            self._secrets.wipe()
        self._secrets = None
        self._erase_ticket()

    def _erase_ticket(self) -> None:
        if self._offered is not None:
            self._offered.ticket.erase()

    def _make_hello(self) -> ClientHello:
        """All but the share."""
        grease = self._parts.entropy.random(2)
        skippable = (0x80 | grease[0] & 0x7F, self._parts.entropy.random(grease[1] % (_MAX_GREASE_BYTES + 1)))
        return ClientHello(
            versions=(messages.VERSION_1,),
            suites=tuple(self._config.suites),
            random=self._parts.entropy.random(_RANDOM_BYTES),
            shares=(),
            binding_type=self._carriage.binding_type,
            ticket=self._offered.ticket.ticket if self._offered else None,
            skippable=(skippable,),
        )

    def _send_hello(self) -> bytes:
        self._hello = msgspec.structs.replace(self._hello, shares=((self._share.group, self._share.public),))
        message = self._hello.encode()
        self._budget.count(message)
        self._transcript.add(message)
        return records.encode_plain(message)

    def _on_retry(self, message: bytes) -> bytes:
        if self._state is _State.RETRIED:
            raise bad_record("a second HelloRetry")
        number = HelloRetry.decode_untrusted(message).group
        offered = {suite.group for suite in self._config.suites}
        group = next((group for group in offered if group == number), None)
        if group is None or group == self._share.group:
            raise WireError(Code.ILLEGAL_SHARE, "HelloRetry names a group that had a share or was not offered")
        self._share.erase()
        self._share = self._parts.kem.generate(group)
        self._transcript.replace_first(self._hello.encode())
        self._transcript.add(message)
        self._state = _State.RETRIED
        return self._send_hello()

    def _on_server_hello(self, message: bytes) -> None:
        hello = ServerHello.decode_untrusted(message)
        suite = next((suite for suite in self._config.suites if suite == hello.suite), None)
        if hello.version != messages.VERSION_1 or suite is None:
            raise WireError(Code.NO_COMMON_SUITE, "the server chose a version or suite that was not offered")
        psk = self._psk_of(suite) if hello.ticket_accepted else None
        if self._share.group != suite.group or hello.group != suite.group:
            raise WireError(Code.ILLEGAL_SHARE, "the server's share is of another group than its suite's or ours")
        self._suite = suite
        self._transcript.add(message)
        try:
            hybrid = self._share.finish(hello.share)
        except IllegalShare as error:
            raise WireError(Code.ILLEGAL_SHARE, str(error)) from None
        with hybrid:
            self._secrets = handshake_secrets(hybrid, psk, self._transcript.digest())
        self._erase_ticket()

    def _psk_of(self, suite: Suite) -> Secret:
        """The psk of the ticket that the server has accepted.  Raises bad_record where it cannot be."""
        if self._offered is None:
            raise bad_record("a ticket was accepted that was not sent")
        if suite != self._offered.ticket.suite:
            raise bad_record("a ticket was accepted with another suite than its own")
        self._accepted = self._offered
        return self._accepted.ticket.psk

    def _on_flight(self, record: bytes, secrets: HandshakeSecrets) -> bytes:
        plaintext = open_flight_untrusted(secrets.server, self._suite.cipher, record)
        self._budget.count(plaintext)
        flight = messages.split_messages(plaintext)
        if tuple(kind for kind, _ in flight) != (_FLIGHT if self._accepted is None else _RESUMED_FLIGHT):
            raise bad_record("the server's flight is not its messages in order")
        params = ServerParams.decode_untrusted(flight[0][1])
        mac = messages.decode_finished_untrusted(flight[-1][1])
        self._transcript.add(flight[0][1])
        if self._accepted is None:
            encoded, certificate = self._check_identity(flight[1][1], flight[2][1])
        else:
            encoded, certificate = self._accepted.ticket.certificate, self._accepted.certificate
        if not hmac.compare_digest(mac, finished_mac(secrets.server, self._transcript.digest())):
            raise WireError(Code.AUTH_FAILED, "ServerFinished is wrong")
        self._transcript.add(flight[-1][1])
        check_server_params(params, self._config, None if self._accepted is None else self._accepted.ticket)
        return self._answer(secrets, params, encoded, certificate)

    def _check_identity(self, certificate: bytes, verify: bytes) -> tuple[bytes, VoiceCertificate]:
        """Check ServerCertificate and ServerVerify, taking both into the transcript."""
        encoded = messages.ServerCertificate.decode_untrusted(certificate).certificate
        decoded = decode_certificate_untrusted(encoded)
        verification = Verification.decode_untrusted(verify)
        self._transcript.add(certificate)
        self._judge_certificate(decoded)
        verify_proof(LeafKind.SERVER_VERIFY, handshake_leaf(self._transcript.digest()), verification, decoded)
        self._transcript.add(verify)
        return encoded, decoded

    def _judge_certificate(self, certificate: VoiceCertificate) -> Anchor:
        host = host_of(self._carriage.authority.decode("latin-1"))
        try:
            return verify_certificate(certificate, self._config.anchors, host, self._wall)
        except CertificateRefused as error:
            raise WireError(Code.AUTH_FAILED, f"the voice certificate is refused: {error}") from None

    def _answer(
        self,
        secrets: HandshakeSecrets,
        params: ServerParams,
        encoded_certificate: bytes,
        certificate: VoiceCertificate,
    ) -> bytes:
        """Make the client's flight and the agreement."""
        config = self._config
        client = ClientParams(config.send_codec, config.receive_codec, config.frame_milliseconds, config.metadata)
        record = self._seal_flight(secrets, client.encode())
        transcript = self._transcript.digest()
        root = first_root(secrets.master_salt, transcript)
        self.erase()
        self.agreement = ClientAgreement(
            suite=self._suite,
            params=params,
            client=client,
            secrets=epoch_secrets(root, transcript, has_datagrams=self._carriage.has_datagrams),
            transcript=transcript,
            certificate=encoded_certificate,
            decoded_certificate=certificate,
            is_resumed=self._accepted is not None,
            ticket=None if self._accepted is None else self._accepted.ticket,
        )
        return record

    def _seal_flight(self, secrets: HandshakeSecrets, params: bytes) -> bytes:
        """Show the credential, and overwrite each copy of a token on the way."""
        credential = self._config.credential if self._accepted is None else Credential()
        value = _value_of(credential)
        shown = ClientCredential(credential.kind, value).encode()
        wipe_bytes(value)
        self._transcript.add(params)
        self._transcript.add(shown)
        verify = b""
        if credential.signer is not None:
            signature = credential.signer.sign(CLIENT_VERIFY_LABEL + self._transcript.digest())
            verify = ClientVerify((credential.signer.public_key.algorithm, signature)).encode()
            self._transcript.add(verify)
        mac = finished_mac(secrets.client, self._transcript.digest())
        finished = messages.encode_finished(MessageType.CLIENT_FINISHED, mac)
        self._transcript.add(finished)
        flight = b"".join((params, shown, verify, finished))
        wipe_bytes(shown)
        try:
            self._budget.count(flight)
            return seal_flight(secrets.client, self._suite.cipher, flight)
        finally:
            wipe_bytes(flight)


def _value_of(credential: Credential) -> bytes:
    """A copy of what is shown, which the caller overwrites."""
    if credential.token is not None:
        return credential.token.copy_for_sealing()
    if credential.signer is not None:
        return credential.signer.public_key.encoded
    return bytes(bytearray(credential.certificate_sha256 or b""))
