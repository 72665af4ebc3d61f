"""Reads what a client shows of itself: a bearer token, a signing key, or a certificate of the outer TLS (protocol §4).

One of them at most.  A message names the file and the remedy; it never holds what stood in the file.
"""

from pathlib import Path

import msgspec

from sottovoce.client.errors import CallMisconfigured
from sottovoce.client.trust import read_file
from sottovoce.primitives import KeyRefused, PemSigner, Secret, Signer, wipe_bytes
from sottovoce.session import Credential
from sottovoce.transport import TlsIdentity, TransportMisconfigured
from sottovoce.wire import MAX_TOKEN_BYTES, CredentialKind

_HAVE_ISSUED = "have a token issued and put into this file"
_KEY_REMEDY = "give the PEM file with the private key whose public half the operator has registered"
_CERTIFICATE_REMEDY = "give the PEM file with this client's certificate, and behind it those that issued it"
_CERTIFICATE_KEY_REMEDY = "give the PEM file with the private key of the certificate"


class Shown(msgspec.Struct, frozen=True):
    """What a call shows.  `owned_token` is to be wiped when it has been sent, or will not be."""

    credential: Credential
    owned_token: Secret | None = None
    identity: TlsIdentity | None = None
    """Shown in the outer TLS (kind 3)."""


def read_shown(
    token: str | Path | Secret | None,
    key: str | Path | Signer | None,
    certificate: str | Path | None,
    certificate_key: str | Path | None,
) -> Shown:
    """Read the one credential that is given, or none.  Raises CallMisconfigured."""
    if sum(each is not None for each in (token, key, certificate or certificate_key)) > 1:
        raise CallMisconfigured("more than one credential is given", "choose one of token, key and certificate")
    if token is not None:
        read = read_token(token)
        return Shown(Credential(CredentialKind.BEARER_TOKEN, read), None if isinstance(token, Secret) else read)
    if key is not None:
        return Shown(Credential(CredentialKind.SIGNING_KEY, signer=read_key(key)))
    if certificate is not None and certificate_key is not None:
        identity = _read_certificate(certificate, certificate_key)
        digest = identity.certificate_sha256
        return Shown(Credential(CredentialKind.OUTER_CERTIFICATE, certificate_sha256=digest), identity=identity)
    if certificate is not None or certificate_key is not None:
        raise CallMisconfigured("a certificate and its private key belong together", "give both files")
    return Shown(Credential())


def read_token(source: str | Path | Secret) -> Secret:
    """Give the token in a file (Path), or this one (str), for the caller to wipe.  Raises CallMisconfigured."""
    if isinstance(source, Secret):
        return source
    if isinstance(source, str):
        return _token(source.encode(), "the token")
    return _token(read_file(source, _HAVE_ISSUED), str(source))


def read_key(source: str | Path | Signer) -> Signer:
    """Give what signs with the private key in a PEM file, or this signer.  Raises CallMisconfigured."""
    if not isinstance(source, (str, Path)):
        return source
    pem = read_file(source, _KEY_REMEDY, private=True)
    try:
        return PemSigner.from_pem(pem)
    except KeyRefused as error:
        happened, _, remedy = str(error).partition(": ")
        raise CallMisconfigured(f"{source} {happened}", remedy) from None
    finally:
        wipe_bytes(pem)


def _read_certificate(certificate: str | Path, key: str | Path) -> TlsIdentity:
    chain = read_file(certificate, _CERTIFICATE_REMEDY)
    pem = read_file(key, _CERTIFICATE_KEY_REMEDY, private=True)
    try:
        return TlsIdentity.from_pem(chain, pem)
    except TransportMisconfigured as error:
        happened, _, remedy = str(error).partition(": ")
        raise CallMisconfigured(f"{happened} ({certificate}, {key})", remedy) from None
    finally:
        wipe_bytes(pem)


def _token(content: bytes, where: str) -> Secret:
    """Take what nobody else refers to: it is overwritten, whatever comes of it."""
    text = content.strip()
    try:
        if not text or len(text) > MAX_TOKEN_BYTES or not text.isascii() or any(byte <= b" "[0] for byte in text):
            raise CallMisconfigured(
                f"{where} is not a token: it is empty, too long, or has spaces in it", "have one issued"
            )
        return Secret("bearer token", text)
    finally:
        wipe_bytes(text)
        wipe_bytes(content)
