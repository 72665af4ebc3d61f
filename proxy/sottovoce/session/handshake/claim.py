"""The client's sealed flight, as the server reads it: order, syntax, ClientFinished, and what is shown of the client.

The signature of a signing key (kind 2) is not verified here, it is handed on as a `Possession`: the judge looks first
whether it knows the key at all.
"""

import hashlib
import hmac
from typing import NamedTuple

from sottovoce.primitives import PublicKey, Secret, SignatureAlgorithm
from sottovoce.session.config import BINDING_NONE, Carriage
from sottovoce.session.credentials import CLIENT_VERIFY_LABEL, Possession, ShownCredential
from sottovoce.session.handshake.schedule import finished_mac
from sottovoce.session.handshake.transcript import Transcript
from sottovoce.wire import Code, CredentialKind, MessageType, WireError, bad_record, messages
from sottovoce.wire.messages import ClientCredential, ClientParams, ClientVerify, tagged_u16

_FLIGHT = (MessageType.CLIENT_PARAMS, MessageType.CLIENT_CREDENTIAL, MessageType.CLIENT_FINISHED)
_FLIGHT_WITH_VERIFY = (*_FLIGHT[:2], MessageType.CLIENT_VERIFY, _FLIGHT[2])


class Claim(NamedTuple):
    """What a client's flight says; the credential's value may be a bearer token, its owner wipes it."""

    params: ClientParams
    credential: ClientCredential
    verify: ClientVerify | None
    mac: bytes


def decode_flight_untrusted(flight: list[tuple[int, bytes]]) -> Claim:
    """Check order and syntax.  Raises WireError."""
    kinds = tuple(kind for kind, _ in flight)
    if kinds not in {_FLIGHT, _FLIGHT_WITH_VERIFY}:
        raise bad_record("the client's flight is not its messages in order")
    params = ClientParams.decode_untrusted(flight[0][1])
    mac = messages.decode_finished_untrusted(flight[-1][1])
    verify = ClientVerify.decode_untrusted(flight[2][1]) if kinds == _FLIGHT_WITH_VERIFY else None
    return Claim(params, ClientCredential.decode_untrusted(flight[1][1]), verify, mac)


def check_shape(claim: Claim) -> None:
    """Check what kind of credential asks for which messages and values.  Raises bad_record."""
    kind, value = claim.credential.kind, claim.credential.value
    if (claim.verify is not None) is not (kind == CredentialKind.SIGNING_KEY):
        raise bad_record("ClientVerify without a signing key, or a signing key without it")
    if kind == CredentialKind.NONE and value:
        raise bad_record("a credential of kind 0 has a value")


def check_finished(claim: Claim, flight: list[tuple[int, bytes]], transcript: Transcript, secret: Secret) -> bytes:
    """Take the flight into the transcript and check ClientFinished; gives T(ClientCredential).  Raises WireError."""
    transcript.add(flight[0][1])
    transcript.add(flight[1][1])
    until_credential = transcript.digest()
    for _, message in flight[2:-1]:
        transcript.add(message)
    if not hmac.compare_digest(claim.mac, finished_mac(secret, transcript.digest())):
        raise WireError(Code.AUTH_FAILED, "ClientFinished is wrong")
    transcript.add(flight[-1][1])
    return until_credential


def shown_credential(claim: Claim, until_credential: bytes, carriage: Carriage, binding_type: int) -> ShownCredential:
    """Dress the credential for its judge, checking what the handshake alone can tell.  Raises WireError."""
    kind, value = claim.credential.kind, claim.credential.value
    possession = _possession(value, claim.verify, until_credential) if claim.verify is not None else None
    certificate = None
    if kind == CredentialKind.OUTER_CERTIFICATE:
        certificate = carriage.peer_certificate
        if certificate is None or binding_type == BINDING_NONE:
            raise WireError(Code.AUTH_FAILED, "an outer certificate that this carriage did not authenticate or bind")
        if value != hashlib.sha256(certificate).digest():
            raise WireError(Code.AUTH_FAILED, "another certificate than the outer one")
    return ShownCredential(kind, value, carriage.authority.lower(), carriage.path, possession, certificate)


def _possession(value: bytes, verify: ClientVerify, until_credential: bytes) -> Possession:
    number, key = tagged_u16(value, "a client's key")
    try:
        algorithm = SignatureAlgorithm(number)
    except ValueError:
        raise bad_record("a client's key has an unknown algorithm") from None
    public = PublicKey(algorithm, key)
    signed_with, signature = verify.signature
    if signed_with != algorithm:
        raise WireError(Code.AUTH_FAILED, "ClientVerify has another algorithm than the key")
    if not public.is_valid():
        raise WireError(Code.AUTH_FAILED, "a client's key is not a valid key")
    return Possession(public, CLIENT_VERIFY_LABEL + until_credential, signature)
