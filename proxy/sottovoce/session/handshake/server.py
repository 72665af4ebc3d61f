"""The server's side of the handshake (protocol §3, §4, §6).

    receive(ClientHello) → HelloRetry, or ServerHello and `leaf` is there to be signed;
    provide_proof(…) for that leaf → the server's flight;  receive(client's flight) → nothing, and `agreement` is there.

`receive` raises WireError for a peer that breaks a rule; the handshake is then over and everything is to be erased.
Checks come in the order of their cost: syntax, version and suites, binding, share; only then is a secret computed.
"""

import hmac
from enum import Enum, auto

import msgspec

from sottovoce.primitives import IllegalShare, Suite, wipe_bytes
from sottovoce.session.config import (
    BINDING_NONE,
    Carriage,
    ServerConfig,
    ServerDependencies,
)
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.handshake.agreement import Agreement
from sottovoce.session.handshake.own import check_carriage, check_server_config, decode_own_certificate
from sottovoce.session.handshake.parameters import HandshakeBudget, check_client_params
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
from sottovoce.session.trust import Proof, handshake_leaf
from sottovoce.session.trust.proof import verification_of
from sottovoce.wire import Code, CredentialKind, MessageType, WireError, bad_record, messages, records
from sottovoce.wire.messages import ClientCredential, ClientHello, ClientParams, HelloRetry, ServerHello, ServerParams

_RANDOM_BYTES = 32
_SESSION_ID_BYTES = 16
_FLIGHT = (MessageType.CLIENT_PARAMS, MessageType.CLIENT_CREDENTIAL, MessageType.CLIENT_FINISHED)
_FLIGHT_WITH_VERIFY = (*_FLIGHT[:2], MessageType.CLIENT_VERIFY, _FLIGHT[2])


class _State(Enum):
    HELLO_DUE = auto()
    SECOND_HELLO_DUE = auto()
    PROOF_DUE = auto()
    FLIGHT_DUE = auto()
    OVER = auto()


class ServerHandshake:
    """Drives one handshake to an `Agreement`."""

    def __init__(self, config: ServerConfig, carriage: Carriage, parts: ServerDependencies) -> None:
        """Take the certificate that is current now: this handshake is proved under it."""
        check_server_config(config)
        check_carriage(carriage)
        self._config = config
        self._carriage = carriage
        self._certificate = parts.serving.certificate
        self._decoded_certificate = decode_own_certificate(self._certificate)
        self._parts = parts
        self._budget = HandshakeBudget()
        self._state = _State.HELLO_DUE
        self._first_hello: ClientHello | None = None
        self._transcript = Transcript(b"")
        self._secrets: HandshakeSecrets | None = None
        self._suite = config.suites[0]
        self._flight = b""
        self.params = self._make_params()
        self.leaf: bytes | None = None
        self.agreement: Agreement | None = None

    def receive(self, record: bytes) -> bytes | None:
        """Take the client's next record; gives the record to answer with, if one is due.  Raises WireError."""
        if self._state is _State.FLIGHT_DUE and self._secrets is not None:
            self._on_flight(record, self._secrets)
            return None
        if self._state not in {_State.HELLO_DUE, _State.SECOND_HELLO_DUE}:
            raise bad_record("a handshake record out of order")
        message_type, message = records.decode_plain_untrusted(record)
        self._budget.count(message)
        if message_type != MessageType.CLIENT_HELLO:
            raise bad_record("a ClientHello was due")
        return self._on_hello(message)

    def provide_proof(self, leaf: bytes, proof: Proof) -> bytes | None:
        """Finish and seal the server's flight.  A second proof is ignored: a flight is never rebuilt."""
        secrets = self._secrets
        if self._state is not _State.PROOF_DUE or secrets is None or leaf != self.leaf:
            return None
        verify = verification_of(proof, self._decoded_certificate).encode()
        self._transcript.add(verify)
        finished = messages.encode_finished(
            MessageType.SERVER_FINISHED, finished_mac(secrets.server, self._transcript.digest())
        )
        self._transcript.add(finished)
        flight = self._flight + verify + finished
        self._budget.count(flight)
        record = seal_flight(secrets.server, self._suite.cipher, flight)
        secrets.server.wipe()
        self._flight = b""
        self._state = _State.FLIGHT_DUE
        return record

    def erase(self) -> None:
        """Wipe what is left; harmless when called again."""
        self._state = _State.OVER
        if self._secrets is not None:
            self._secrets.wipe()

    def _make_params(self) -> ServerParams:
        config = self._config
        return ServerParams(
            session_id=self._parts.entropy.random(_SESSION_ID_BYTES),
            epoch_seconds=config.epoch_seconds,
            messages_per_key=config.messages_per_key,
            padding=config.padding,
            codecs=tuple(config.codecs),
            reauthenticate_every=config.reauthenticate_every,
            credential_kinds=config.credential_kinds,
        )

    def _on_hello(self, message: bytes) -> bytes:
        hello = ClientHello.decode_untrusted(message)
        if self._first_hello is not None:
            _check_second_hello(self._first_hello, hello)
        if messages.VERSION_1 not in hello.versions:
            raise WireError(Code.NO_COMMON_SUITE, "no common version")
        common = [suite for suite in self._config.suites if suite in hello.suites]
        if not common:
            raise WireError(Code.NO_COMMON_SUITE, "no common suite")
        if self._first_hello is None:
            self._transcript = Transcript(self._prologue(hello.binding_type))
        shares = dict(hello.shares)
        suite = next((suite for suite in common if suite.group in shares), None)
        if suite is None:
            return self._retry(hello, message, common[0])
        return self._answer(message, suite, shares[suite.group])

    def _prologue(self, binding_type: int) -> bytes:
        carriage = self._carriage
        if binding_type not in {BINDING_NONE, carriage.binding_type}:
            raise WireError(Code.BINDING_MISMATCH, "a binding type that this carriage does not have")
        if binding_type == BINDING_NONE and self._config.require_binding:
            raise WireError(Code.POLICY, "a binding is required")
        binding = carriage.binding if binding_type else b""
        return prologue(binding_type, binding, carriage.authority, carriage.path)

    def _retry(self, hello: ClientHello, message: bytes, suite: Suite) -> bytes:
        """Name the group of our most preferred common suite."""
        retry = HelloRetry(suite.group).encode()
        self._budget.count(retry)
        self._transcript.replace_first(message)
        self._transcript.add(retry)
        self._first_hello = msgspec.structs.replace(hello, shares=((suite.group, b""),))
        self._state = _State.SECOND_HELLO_DUE
        return records.encode_plain(retry)

    def _answer(self, message: bytes, suite: Suite, client_share: bytes) -> bytes:
        """Compute the hybrid secret, make ServerHello, and have the leaf ready to be signed."""
        try:
            share, hybrid = self._parts.kem.encapsulate(suite.group, client_share)
        except IllegalShare as error:
            raise WireError(Code.ILLEGAL_SHARE, str(error)) from None
        with hybrid:
            random = self._parts.entropy.random(_RANDOM_BYTES)
            hello = ServerHello(messages.VERSION_1, suite, random, suite.group, share).encode()
            self._budget.count(hello)
            self._transcript.add(message)
            self._transcript.add(hello)
            self._secrets = handshake_secrets(hybrid, None, self._transcript.digest())
        self._suite = suite
        self._flight = self.params.encode() + messages.ServerCertificate(self._certificate).encode()
        self._transcript.add(self._flight)
        self.leaf = handshake_leaf(self._transcript.digest())
        self._state = _State.PROOF_DUE
        return records.encode_plain(hello)

    def _on_flight(self, record: bytes, secrets: HandshakeSecrets) -> None:
        plaintext = open_flight_untrusted(secrets.client, self._suite.cipher, record)
        flight: list[tuple[int, bytes]] = []
        try:
            self._budget.count(plaintext)
            flight = messages.split_messages(plaintext)
            params, credential = self._check_flight(flight, secrets)
            check_client_params(params, self._config)
            identity = self._identify(credential)
        finally:  # there may be a token in it
            for copy in (plaintext, *(message for _, message in flight)):
                wipe_bytes(copy)
        self._agree(secrets, params, identity)

    def _check_flight(
        self, flight: list[tuple[int, bytes]], secrets: HandshakeSecrets
    ) -> tuple[ClientParams, ClientCredential]:
        """Check order, syntax and ClientFinished."""
        if tuple(kind for kind, _ in flight) not in {_FLIGHT, _FLIGHT_WITH_VERIFY}:
            raise bad_record("the client's flight is not its messages in order")
        params = ClientParams.decode_untrusted(flight[0][1])
        credential = ClientCredential.decode_untrusted(flight[1][1])
        _check_flight_syntax(credential, has_verify=len(flight) == len(_FLIGHT_WITH_VERIFY))
        mac = messages.decode_finished_untrusted(flight[-1][1])
        for _, message in flight[:-1]:
            self._transcript.add(message)
        if not hmac.compare_digest(mac, finished_mac(secrets.client, self._transcript.digest())):
            raise WireError(Code.AUTH_FAILED, "ClientFinished is wrong")
        self._transcript.add(flight[-1][1])
        return params, credential

    def _identify(self, credential: ClientCredential) -> Identity:
        if credential.kind not in self._config.credential_kinds:
            raise WireError(Code.AUTH_FAILED, "a kind of credential that is not accepted")
        carriage = self._carriage
        shown = ShownCredential(credential.kind, credential.value, carriage.authority.lower(), carriage.path)
        verdict = self._parts.credentials.check(shown)
        if verdict is None:
            verdict = Code.AUTH_FAILED
        if isinstance(verdict, Code):
            raise WireError(verdict, "the credential is refused")
        return verdict

    def _agree(self, secrets: HandshakeSecrets, params: ClientParams, identity: Identity) -> None:
        transcript = self._transcript.digest()
        root = first_root(secrets.master_salt, transcript)
        self.erase()
        self.agreement = Agreement(
            suite=self._suite,
            params=self.params,
            client=params,
            secrets=epoch_secrets(root, transcript),
            transcript=transcript,
            certificate=self._certificate,
            decoded_certificate=self._decoded_certificate,
            identity=identity,
        )


def _check_second_hello(first: ClientHello, second: ClientHello) -> None:
    """After HelloRetry everything critical stays but the shares: exactly one, of the group asked for."""
    groups = tuple(group for group, _ in second.shares)
    if groups != tuple(group for group, _ in first.shares):
        raise bad_record("the second ClientHello does not hold exactly the share that was asked for")
    kept = (first.versions, first.suites, first.random, first.ticket, first.binding_type)
    if kept != (second.versions, second.suites, second.random, second.ticket, second.binding_type):
        raise bad_record("the second ClientHello differs from the first")


def _check_flight_syntax(credential: ClientCredential, *, has_verify: bool) -> None:
    if has_verify is not (credential.kind == CredentialKind.SIGNING_KEY):
        raise bad_record("ClientVerify without a signing key, or a signing key without it")
    if credential.kind == CredentialKind.NONE and credential.value:
        raise bad_record("a credential of kind 0 has a value")
