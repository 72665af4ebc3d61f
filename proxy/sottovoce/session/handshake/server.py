"""The server's side of the handshake (protocol §3, §4, §6).

    receive(ClientHello) → HelloRetry, or ServerHello and `wanted` is there: a leaf to be signed;
    provide_proof(…) for that → the server's flight;  receive(client's flight) → nothing, and `agreement` is there,
    or `shown` is there to be judged;  provide_verdict(…) on it → `agreement` is there.

With a ticket that can be used, ServerHello is followed at once by the server's flight, and nothing is signed.  Without
one the certificate comes with the proof: ServerCertificate is made then.

`receive` and `provide_verdict` raise WireError for a peer that breaks a rule; the handshake is then over and everything
is to be erased.  Checks come in the order of their cost: syntax, version and suites, binding, ticket, share; only then
is a secret computed.
"""

from enum import Enum, auto
from typing import NamedTuple

import msgspec

from sottovoce.primitives import IllegalShare, Secret, Suite, wipe_bytes
from sottovoce.session.config import (
    BINDING_NONE,
    Carriage,
    ServerConfig,
    ServerDependencies,
)
from sottovoce.session.credentials import Identity, ShownCredential
from sottovoce.session.events import SignatureWanted
from sottovoce.session.handshake.agreement import ServerAgreement
from sottovoce.session.handshake.claim import check_finished, check_shape, decode_flight_untrusted, shown_credential
from sottovoce.session.handshake.own import check_carriage, check_server_config
from sottovoce.session.handshake.parameters import HandshakeBudget, check_client_params
from sottovoce.session.handshake.resumption import Place, open_ticket, state_of_full_handshake
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
from sottovoce.session.tickets import TicketState
from sottovoce.session.trust import LeafKind, Proof, ServedCertificate, handshake_leaf
from sottovoce.session.trust.proof import verification_of
from sottovoce.wire import Code, CredentialKind, MessageType, WireError, bad_record, messages, records
from sottovoce.wire.messages import ClientHello, ClientParams, HelloRetry, ServerHello, ServerParams

_RANDOM_BYTES = 32
_SESSION_ID_BYTES = 16


class _State(Enum):
    HELLO_DUE = auto()
    SECOND_HELLO_DUE = auto()
    PROOF_DUE = auto()
    FLIGHT_DUE = auto()
    VERDICT_DUE = auto()
    OVER = auto()


class _Claimed(NamedTuple):
    """What a client has shown, and what goes on with it once there is a verdict."""

    secrets: HandshakeSecrets
    params: ClientParams
    shown: ShownCredential
    believed: TicketState | ServedCertificate


class ServerHandshake:
    """Drives one handshake to a `ServerAgreement`."""

    def __init__(self, config: ServerConfig, carriage: Carriage, parts: ServerDependencies) -> None:
        """Look at our own choices first.  Raises ApiMisuse."""
        check_server_config(config)
        check_carriage(carriage)
        self._config = config
        self._carriage = carriage
        self._parts = parts
        self._budget = HandshakeBudget()
        self._state = _State.HELLO_DUE
        self._first_hello: ClientHello | None = None
        self._transcript = Transcript(b"")
        self._secrets: HandshakeSecrets | None = None
        self._suite = config.suites[0]
        self._flight = b""
        self._binding_type = BINDING_NONE
        self._wall = 0.0
        self._believed: TicketState | ServedCertificate | None = None
        """What the client knows us by: a ticket that was accepted, or the certificate that we proved ourselves with."""
        self._claimed: _Claimed | None = None
        self._value = b""
        self.params = self._make_params()
        self.wanted: SignatureWanted | None = None
        self.agreement: ServerAgreement | None = None

    @property
    def shown(self) -> ShownCredential | None:
        """What is to be judged now."""
        return None if self._claimed is None else self._claimed.shown

    def receive(self, record: bytes, wall: float) -> list[bytes]:
        """Take the client's next record at `wall`, Unix time; gives the records to answer with.  Raises WireError."""
        self._wall = wall
        if self._state is _State.FLIGHT_DUE and self._secrets is not None and self._believed is not None:
            self._on_flight(record, self._secrets, self._believed)
            return []
        if self._state not in {_State.HELLO_DUE, _State.SECOND_HELLO_DUE}:
            raise bad_record("a handshake record out of order")
        message_type, message = records.decode_plain_untrusted(record)
        self._budget.count(message)
        if message_type != MessageType.CLIENT_HELLO:
            raise bad_record("a ClientHello was due")
        return self._on_hello(message)

    def provide_proof(self, wanted: SignatureWanted, certificate: ServedCertificate, proof: Proof) -> bytes | None:
        """Finish and seal the server's flight.  A second proof is ignored: a flight is never rebuilt.

        Raises ApiMisuse for a proof that is not of `wanted` under `certificate`; another one may follow.
        """
        secrets = self._secrets
        if self._state is not _State.PROOF_DUE or secrets is None or wanted is not self.wanted:
            return None
        verify = verification_of(proof, wanted.leaf_under(certificate), certificate).encode()
        for message in (messages.ServerCertificate(certificate.encoded).encode(), verify):
            self._transcript.add(message)
            self._flight += message
        self._believed = certificate
        return self._seal_flight(secrets)

    def provide_verdict(self, shown: ShownCredential, verdict: Identity | Code) -> None:
        """Go on with what the judge said of `shown`; anything else than the one that is due is ignored.

        An identity that was withdrawn while the judge was at work does not get in.  Raises WireError.
        """
        claimed = self._claimed
        if claimed is None or shown is not claimed.shown:
            return
        if isinstance(verdict, Identity) and not self._parts.credentials.still_holds(
            verdict, shown.authority, shown.path
        ):
            verdict = Code.AUTH_FAILED
        self._settle(claimed, verdict)

    def erase(self) -> None:
        """Wipe what is left; harmless when called again."""
        self._state = _State.OVER
        if self._secrets is not None:
            self._secrets.wipe()
        self._claimed = None
        wipe_bytes(self._value)  # what was shown may be a token
        self._value = b""

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

    def _on_hello(self, message: bytes) -> list[bytes]:
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
            return [self._retry(hello, message, common[0])]
        self._suite = suite
        return self._answer(hello.ticket, message, shares[suite.group])

    def _prologue(self, binding_type: int) -> bytes:
        carriage = self._carriage
        if binding_type not in {BINDING_NONE, carriage.binding_type}:
            raise WireError(Code.BINDING_MISMATCH, "a binding type that this carriage does not have")
        if binding_type == BINDING_NONE and self._config.require_binding:
            raise WireError(Code.POLICY, "a binding is required")
        self._binding_type = binding_type
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

    def _answer(self, ticket: bytes | None, message: bytes, client_share: bytes) -> list[bytes]:
        """Open the ticket, compute the hybrid secret, and go on with the ticket or without."""
        state = None if ticket is None else open_ticket(ticket, self._place, self._config, self._parts, self._wall)
        try:
            share, hybrid = self._parts.kem.encapsulate(self._suite.group, client_share)
            with hybrid:
                accepted = state if ticket is not None and state is not None and self._is_spent(ticket) else None
                hello, secrets = self._say_hello(message, share, hybrid, accepted)
        except IllegalShare as error:
            raise WireError(Code.ILLEGAL_SHARE, str(error)) from None
        finally:
            if state is not None:
                state.psk.wipe()
        self._secrets = secrets
        return [hello, *self._begin_flight(secrets, accepted)]

    @property
    def _place(self) -> Place:
        return Place(self._carriage, self._suite, self._binding_type)

    def _is_spent(self, ticket: bytes) -> bool:
        """Use a ticket up; false when somebody else did before us."""
        return self._parts.tickets is not None and self._parts.tickets.spend(ticket)

    def _say_hello(
        self, message: bytes, share: bytes, hybrid: Secret, state: TicketState | None
    ) -> tuple[bytes, HandshakeSecrets]:
        """Make ServerHello's record, and the handshake's secrets."""
        suite = self._suite
        random = self._parts.entropy.random(_RANDOM_BYTES)
        hello = ServerHello(
            messages.VERSION_1, suite, random, suite.group, share, ticket_accepted=state is not None
        ).encode()
        self._budget.count(hello)
        self._transcript.add(message)
        self._transcript.add(hello)
        secrets = handshake_secrets(hybrid, None if state is None else state.psk, self._transcript.digest())
        return records.encode_plain(hello), secrets

    def _begin_flight(self, secrets: HandshakeSecrets, accepted: TicketState | None) -> list[bytes]:
        """Have a leaf ready to be signed; with a ticket the flight needs none, and is sealed at once."""
        self._believed = accepted
        if accepted is None:
            self._flight = self.params.encode()
            self._transcript.add(self._flight)
            self.wanted = SignatureWanted(LeafKind.SERVER_VERIFY, None, _LeafAfter(self._transcript))
            self._state = _State.PROOF_DUE
            return []
        self.params = msgspec.structs.replace(self.params, credential_kinds=(CredentialKind.NONE,))
        self._flight = self.params.encode()
        self._transcript.add(self._flight)
        return [self._seal_flight(secrets)]

    def _seal_flight(self, secrets: HandshakeSecrets) -> bytes:
        """Add ServerFinished and seal the flight, which consumes its key."""
        finished = messages.encode_finished(
            MessageType.SERVER_FINISHED, finished_mac(secrets.server, self._transcript.digest())
        )
        self._transcript.add(finished)
        flight = self._flight + finished
        self._budget.count(flight)
        record = seal_flight(secrets.server, self._suite.cipher, flight)
        secrets.server.wipe()
        self._flight = b""
        self._state = _State.FLIGHT_DUE
        return record

    def _on_flight(self, record: bytes, secrets: HandshakeSecrets, believed: TicketState | ServedCertificate) -> None:
        plaintext = open_flight_untrusted(secrets.client, self._suite.cipher, record)
        flight: list[tuple[int, bytes]] = []
        try:
            self._budget.count(plaintext)
            flight = messages.split_messages(plaintext)
            claim = decode_flight_untrusted(flight)
            self._value = claim.credential.value
            check_shape(claim)
            until_credential = check_finished(claim, flight, self._transcript, secrets.client)
        finally:  # there may be a token in it
            for copy in (plaintext, *(message for _, message in flight)):
                wipe_bytes(copy)
        check_client_params(claim.params, self._config)
        if claim.credential.kind not in self.params.credential_kinds:
            raise WireError(Code.AUTH_FAILED, "a kind of credential that is not accepted")
        shown = shown_credential(claim, until_credential, self._carriage, self._binding_type)
        self._identify(_Claimed(secrets, claim.params, shown, believed))

    def _identify(self, claimed: _Claimed) -> None:
        shown, credentials, state = claimed.shown, self._parts.credentials, claimed.believed
        if isinstance(state, TicketState):
            holds = credentials.still_holds(state.identity, shown.authority, shown.path)
            self._settle(claimed, state.identity if holds else Code.AUTH_FAILED)
            return
        verdict = credentials.check(shown)
        if verdict is None:
            self._claimed = claimed
            self._state = _State.VERDICT_DUE
        else:
            self._settle(claimed, verdict)

    def _settle(self, claimed: _Claimed, verdict: Identity | Code) -> None:
        """Agree with whom the verdict names.  Raises WireError where it is a refusal."""
        if isinstance(verdict, Code):
            raise WireError(verdict, "the credential is refused")
        self._agree(claimed, verdict)

    def _agree(self, claimed: _Claimed, identity: Identity) -> None:
        transcript = self._transcript.digest()
        root = first_root(claimed.secrets.master_salt, transcript)
        self.erase()
        state = claimed.believed
        is_resumed = isinstance(state, TicketState)
        if not isinstance(state, TicketState):
            state = state_of_full_handshake(
                self._place,
                state,
                identity,
                kind=claimed.shown.kind,
                reauthenticate_every=self.params.reauthenticate_every,
                wall=self._wall,
            )
        self.agreement = ServerAgreement(
            suite=self._suite,
            params=self.params,
            client=claimed.params,
            secrets=epoch_secrets(root, transcript, has_datagrams=self._carriage.has_datagrams),
            transcript=transcript,
            identity=identity,
            is_resumed=is_resumed,
            state=state,
        )


class _LeafAfter:
    """The leaf of a handshake that has come so far, under a certificate.

    The last one is kept: it is asked for when it is signed and again with the proof, and a certificate is long.
    """

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript.copy()
        self._last: tuple[ServedCertificate, bytes] | None = None

    def __call__(self, certificate: ServedCertificate) -> bytes:
        if self._last is not None and self._last[0] is certificate:
            return self._last[1]
        transcript = self._transcript.copy()
        transcript.add(messages.ServerCertificate(certificate.encoded).encode())
        leaf = handshake_leaf(transcript.digest())
        self._last = certificate, leaf
        return leaf


def _check_second_hello(first: ClientHello, second: ClientHello) -> None:
    """After HelloRetry everything critical stays but the shares: exactly one, of the group asked for."""
    groups = tuple(group for group, _ in second.shares)
    if groups != tuple(group for group, _ in first.shares):
        raise bad_record("the second ClientHello does not hold exactly the share that was asked for")
    kept = (first.versions, first.suites, first.random, first.ticket, first.binding_type)
    if kept != (second.versions, second.suites, second.random, second.ticket, second.binding_type):
        raise bad_record("the second ClientHello differs from the first")
