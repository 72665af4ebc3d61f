"""Targets for what says who may call: the files of `[clients]`, and the tokens and certificates that clients show.

A token or certificate that is not exactly a good one grants nothing; a token that the issuer did sign may say anything,
and is then judged without a fault.
"""

import base64
import datetime as dt
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sottovoce.identity.clients import Clients, ClientsContents, ClientsSources
from sottovoce.identity.clients.file import ClientsFile, parse_clients
from sottovoce.identity.clients.jwt import JwtIssuer
from sottovoce.identity.errors import ClientsUnusable
from sottovoce.pki import ClientCas, ClientCaUnusable, RevocationListUnusable
from sottovoce.session import Identity, ShownCredential
from sottovoce.wire import Code
from tests.fuzz.choices import Choices
from tests.fuzz.files import one_line
from tests.session.keys import HOST, WALL

AUDIENCE = HOST.encode()
_PATH = b"/v1/voice/echo"
_REFUSED = (ClientsUnusable, ClientCaUnusable, RevocationListUnusable)
_MOMENT = dt.datetime.fromtimestamp(WALL, dt.UTC)


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@cache
def _issuer_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(b"\x17" * 32)


@cache
def key_set() -> bytes:
    """The key set of an issuer."""
    x = _base64(_issuer_key().public_key().public_bytes_raw()).decode()
    return b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"%s"}]}' % x.encode()


def signed_token(header: bytes, claims: bytes) -> bytes:
    """A token under the issuer's signature, whatever it says."""
    said = _base64(header) + b"." + _base64(claims)
    return said + b"." + _base64(_issuer_key().sign(said))


@cache
def _ca_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0xCA, ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@cache
def ca_pem() -> bytes:
    """A CA of clients."""
    key = _ca_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_named("ca"))
        .issuer_name(_named("ca"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_MOMENT - dt.timedelta(days=1))
        .not_valid_after(_MOMENT + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return certificate.public_bytes(Encoding.PEM)


@cache
def crl_pem() -> bytes:
    """Its list, with nobody on it."""
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_named("ca"))
        .last_update(_MOMENT - dt.timedelta(days=1))
        .next_update(_MOMENT + dt.timedelta(days=7))
        .sign(_ca_key(), hashes.SHA256(), ecdsa_deterministic=True)
    )
    return made.public_bytes(Encoding.PEM)


@cache
def client_der() -> bytes:
    """A client's certificate."""
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_named("kiosk"))
        .issuer_name(_named("ca"))
        .public_key(ec.derive_private_key(0xC1, ec.SECP256R1()).public_key())
        .serial_number(7)
        .not_valid_before(_MOMENT - dt.timedelta(days=1))
        .not_valid_after(_MOMENT + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(_ca_key(), hashes.SHA256(), ecdsa_deterministic=True)
    )
    return certificate.public_bytes(Encoding.DER)


@cache
def _clients() -> Clients:
    cas = ClientCas.read(ca_pem(), crl_pem(), WALL)
    contents = ClientsContents(
        ClientsFile(),
        JwtIssuer.parse(key_set(), ""),
        cas,
        sources=ClientsSources(require_credential=True),
        key=bytes(32),
    )
    return Clients(contents, lambda: WALL)


def fuzz_callers(data: bytes) -> None:
    """The first byte says which reader gets the rest."""
    choices = Choices(data)
    readers = (_clients_file, _key_set, _token, _issued_token, _authorities, _certificate)
    try:
        choices.pick(readers)(choices)
    except _REFUSED as error:
        one_line(error)


def _clients_file(choices: Choices) -> None:
    file = parse_clients(choices.rest().decode(errors="replace"))
    contents = ClientsContents(file, None, None, sources=ClientsSources(), key=bytes(32))
    assert contents.tokens + contents.keys == len(file.client)
    clients = Clients(contents, lambda: WALL)
    for entry in file.client:
        verdict = clients.still_holds(entry.grant.identity, AUDIENCE, _PATH)
        assert verdict in {True, False}


def _key_set(choices: Choices) -> None:
    assert len(JwtIssuer.parse(choices.rest(), "")) > 0


def _judged(shown: ShownCredential) -> Identity | Code:
    quick = _clients().check(shown)
    verdict = _clients().judge(shown)
    assert quick is None or quick == verdict
    return verdict


def _token(choices: Choices) -> None:
    """A token that the issuer did not sign."""
    header, claims, signature = choices.piece(), choices.piece(), choices.piece()
    encoded = choices.flag()
    parts = [_base64(part) if encoded else part for part in (header, claims, signature)]
    verdict = _judged(ShownCredential(1, b".".join(parts), AUDIENCE, _PATH))
    assert not isinstance(verdict, Identity), "a token nobody signed was taken"


def _issued_token(choices: Choices) -> None:
    """A token that it did sign."""
    said = choices.piece(), choices.rest()
    verdict = _judged(ShownCredential(1, signed_token(*said), AUDIENCE, _PATH))
    if isinstance(verdict, Identity):
        assert verdict.name.isprintable()
        assert verdict.expires_at is not None
        assert verdict.expires_at > WALL
        assert _clients().still_holds(verdict, AUDIENCE, _PATH)


def _authorities(choices: Choices) -> None:
    """A file of CAs and one of lists: good ones with changes, or any bytes."""
    authorities, lists = (_varied(choices, good) for good in (ca_pem(), crl_pem()))
    assert len(ClientCas.read(authorities, lists if choices.flag() else None, WALL)) > 0


def _varied(choices: Choices, good: bytes) -> bytes:
    match choices.below(4):
        case 0:
            return good
        case 1:
            return choices.piece()
        case 2:
            return good + good[: choices.number(2)] + choices.piece()
        case _:
            return _flipped(choices, good)


def _flipped(choices: Choices, good: bytes) -> bytes:
    changed = bytearray(good)
    for _ in range(1 + choices.below(4)):
        changed[choices.number(2) % len(changed)] ^= choices.byte()
    return bytes(changed)


def _certificate(choices: Choices) -> None:
    """A certificate that the outer TLS has seen: the good one with changes, or any bytes."""
    der = _flipped(choices, client_der()) if choices.flag() else choices.rest()
    verdict = _clients().judge(ShownCredential(3, b"", AUDIENCE, _PATH, certificate=der))
    if isinstance(verdict, Identity):  # what is not signed, as the count of unused bits of the signature, may differ
        taken, good = (x509.load_der_x509_certificate(each).tbs_certificate_bytes for each in (der, client_der()))
        assert taken == good, "a changed certificate was taken"


def seeds() -> list[bytes]:
    """One example or more for each reader."""
    digest = "ab" * 32
    entry = f'[[client]]\nname = "kiosk"\ntoken_sha256 = "{digest}"\naudience = ["{HOST}"]\nexpires = 2027-01-31\n'
    header, claims = b'{"alg":"EdDSA","kid":"a"}', b'{"sub":"k","aud":"%s","exp":1900000000}' % AUDIENCE
    token = b"".join(bytes([len(part)]) + part for part in (header, claims, bytes(64)))
    return [
        b"\0" + entry.encode(),
        b'\0withdrawn = ["a"]\n' + b"added = 1979-05-27T07:32:00+23:59\n",
        b"\0a = 1" + b"0" * 4_400,
        b"\0a = " + b"[" * 2_000,
        b"\1" + key_set(),
        b'\1{"keys":' + b"[" * 2_000,
        b"\2" + token + b"\1",
        b"\3" + bytes([len(header)]) + header + claims,
        b"\3" + bytes([len(header)]) + header + claims.replace(b"1900000000", b"1" + b"0" * 400),
        b"\3" + bytes([len(header)]) + header + claims.replace(b"1900000000", b"1e308"),
        b"\4\0\0\1",
        b"\4\1\0\0",
        b"\5\1" + bytes(3),
        b"\5\0" + client_der(),
    ]
