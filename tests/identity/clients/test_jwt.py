"""JWTs: what of one must be right, and the attacks that RFC 8725 tells of."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from sottovoce.identity import ClientsUnusable
from sottovoce.identity.clients.jwt import MAX_TOKEN_BYTES, JwtIssuer
from sottovoce.session import Identity
from sottovoce.wire import Code
from tests.identity.clients.files import ECHO, HOST, NOW, read, token
from tests.identity.clients.jwts import CLAIMS, EC, ED, STRANGER, encoded, issue, key_set, sign, write_key_set

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def judged(
    directory: Path, value: bytes, *, issuer: str = "", path: bytes = ECHO, keys: bytes | None = None
) -> Identity | Code:
    """Give the verdict, at once or after a look at the signature."""
    clients = read(directory, jwks_file=write_key_set(directory, keys), jwt_issuer=issuer)
    shown = token(value, path=path)
    verdict = clients.check(shown)
    return clients.judge(shown) if verdict is None else verdict


@pytest.mark.parametrize(("key", "alg"), [(ED, "Ed25519"), (ED, "EdDSA"), (EC, "ES256")])
def test_a_jwt_says_who_its_bearer_is(tmp_path: Path, key: OKPKey | ECKey, alg: str) -> None:
    found = judged(tmp_path, issue({"jti": "j1"}, key=key, alg=alg))
    assert isinstance(found, Identity)
    assert (found.name, found.kind, found.expires_at) == ("kiosk-7", 1, NOW + 60)
    assert found.credential.startswith("jwt:j1@")


def test_its_signature_is_not_looked_at_on_the_event_loop(tmp_path: Path) -> None:
    clients = read(tmp_path, jwks_file=write_key_set(tmp_path))
    assert clients.check(token(issue())) is None
    assert clients.check(token(issue(key=STRANGER))) is None
    assert clients.judge(token(issue(key=STRANGER))) is Code.AUTH_FAILED


def test_without_an_id_its_digest_names_it(tmp_path: Path) -> None:
    for jti in (None, "x" * 125, "a\x07b", "é"):
        value = issue({"jti": jti})
        found = judged(tmp_path, value)
        assert isinstance(found, Identity)
        assert found.credential.startswith(f"jwt:{hashlib.sha256(value.rpartition(b'.')[0]).hexdigest()[:12]}@")


def test_another_signature_over_the_same_claims_is_no_other_jwt(tmp_path: Path) -> None:
    """Of an ECDSA signature (r, s) whoever has it can make (r, n - s), which is as good."""
    value = issue(key=EC, alg="ES256")
    signed, _, signature = value.rpartition(b".")
    raw = base64.urlsafe_b64decode(signature + b"==")
    other = P256_ORDER - int.from_bytes(raw[32:])
    twin = signed + b"." + base64.urlsafe_b64encode(raw[:32] + other.to_bytes(32)).rstrip(b"=")
    found = judged(tmp_path, value)
    assert isinstance(found, Identity)
    assert judged(tmp_path, twin) == found


def test_one_with_a_long_id_can_be_withdrawn(tmp_path: Path) -> None:
    clients = read(tmp_path, f'withdrawn = ["jwt:{"x" * 124}"]\n', jwks_file=write_key_set(tmp_path))
    assert clients.judge(token(issue({"jti": "x" * 124}))) is Code.AUTH_FAILED
    assert isinstance(clients.judge(token(issue({"jti": "x" * 123}))), Identity)


@pytest.mark.protocol("P4.16")
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": "other.example.com"},
        {"aud": ["other.example.com", "voice.example.com:8443"]},
        {"aud": []},
        {"aud": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": " a"},
        {"sub": "a\nb"},
        {"sub": "x" * 129},
        {"sub": 7},
        {"exp": None},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"nbf": NOW + 61},
        {"iat": NOW + 61},
        {"nbf": "soon"},
        {"routes": "echo"},
        {"routes": ["/v1/voice/echo"]},
        {"routes": ["é"]},
        {"routes": [1]},
    ],
)
def test_claims_that_do_not_fit_are_refused_at_once(tmp_path: Path, claims: dict[str, object]) -> None:
    clients = read(tmp_path, jwks_file=write_key_set(tmp_path))
    assert clients.check(token(issue(claims))) is Code.AUTH_FAILED
    assert clients.judge(token(issue(claims))) is Code.AUTH_FAILED


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["x", "VOICE.example.com"]},
        {"nbf": NOW + 60, "iat": NOW + 60},
        {"nbf": 0, "exp": NOW + 0.5},
        {"routes": ["echo", "support"], "more": {"deep": [1]}},
        {"iss": "https://issuer.example"},
    ],
)
def test_claims_that_fit(tmp_path: Path, claims: dict[str, object]) -> None:
    assert isinstance(judged(tmp_path, issue(claims)), Identity)


def test_a_route_that_is_not_its_own_is_a_matter_of_policy(tmp_path: Path) -> None:
    value = issue({"routes": ["support"]})
    assert judged(tmp_path, value) is Code.POLICY
    assert isinstance(judged(tmp_path, value, path=b"/v1/voice/support?x"), Identity)
    assert judged(tmp_path, issue({"routes": []})) is Code.POLICY
    assert judged(tmp_path, issue({"routes": ["support"]}, key=STRANGER)) is Code.AUTH_FAILED


def test_the_issuer_is_compared_where_one_is_named(tmp_path: Path) -> None:
    name = "https://issuer.example"
    assert isinstance(judged(tmp_path, issue({"iss": name}), issuer=name), Identity)
    for other in (None, "", "https://issuer.example/", [name]):
        assert judged(tmp_path, issue({"iss": other}), issuer=name) is Code.AUTH_FAILED


def with_header(value: bytes, header: object) -> bytes:
    """Put another header before a token's claims and signature."""
    return b".".join([encoded(json.dumps(header).encode()), *value.split(b".")[1:]])


def mac_under(secret: bytes, kid: str) -> bytes:
    """Sign with HMAC under bytes that everybody has: the confusion of algorithms."""
    signed = encoded(json.dumps({"alg": "HS256", "kid": kid}).encode()) + b"." + encoded(json.dumps(CLAIMS).encode())
    return signed + b"." + encoded(hmac.digest(secret, signed, "sha256"))


PUBLIC_FORMS = [
    ED.public_key.public_bytes_raw(),
    ED.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ED.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    json.dumps(ED.as_dict(private=False)).encode(),
    b"",
]


@pytest.mark.parametrize("secret", PUBLIC_FORMS)
def test_a_mac_under_the_public_key_is_no_signature(tmp_path: Path, secret: bytes) -> None:
    assert judged(tmp_path, mac_under(secret, "ed")) is Code.AUTH_FAILED


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", "HS256", "HS512", "RS256", "ES384", "ES256", "Ed448", None, 1]
)
def test_an_algorithm_that_is_not_the_keys_is_refused(tmp_path: Path, alg: object) -> None:
    header = {"alg": alg, "kid": "ed"}
    value = with_header(issue(), header)
    assert judged(tmp_path, value) is Code.AUTH_FAILED
    assert judged(tmp_path, value.rpartition(b".")[0] + b".") is Code.AUTH_FAILED
    assert judged(tmp_path, with_header(issue(), {"kid": "ed"})) is Code.AUTH_FAILED


def test_a_signature_of_one_algorithm_is_none_of_another(tmp_path: Path) -> None:
    assert judged(tmp_path, issue(key=EC, alg="ES256", kid="ed")) is Code.AUTH_FAILED
    assert judged(tmp_path, issue(key=ED, alg="Ed25519", kid="ec")) is Code.AUTH_FAILED


@pytest.mark.parametrize("kid", ["", "other", "ED", "../../etc/passwd", "' or 1=1"])
def test_a_key_id_that_is_not_there_is_refused_at_once(tmp_path: Path, kid: str) -> None:
    clients = read(tmp_path, jwks_file=write_key_set(tmp_path))
    assert clients.check(token(issue(kid=kid))) is Code.AUTH_FAILED


def test_without_a_key_id_a_few_keys_are_tried(tmp_path: Path) -> None:
    few = [OKPKey.generate_key("Ed25519", {"kid": str(number)}) for number in range(3)]
    assert isinstance(judged(tmp_path, issue(kid="leave out"), keys=key_set(*few, EC, ED)), Identity)
    assert (
        judged(tmp_path, issue(kid="leave out"), keys=key_set(*few, OKPKey.generate_key("Ed25519", {"kid": "y"}), ED))
        is Code.AUTH_FAILED
    )
    assert isinstance(judged(tmp_path, issue(), keys=key_set(*few, ED)), Identity)


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": STRANGER.as_dict(private=False)},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/chain.pem"},
        {"x5c": ["MIIB"]},
        {"jwk": STRANGER.as_dict(private=False), "kid": "leave out"},
    ],
)
def test_a_key_that_the_token_brings_along_is_not_looked_at(tmp_path: Path, header: dict[str, Any]) -> None:
    assert judged(tmp_path, issue(key=STRANGER, **header)) is Code.AUTH_FAILED
    assert isinstance(judged(tmp_path, issue(**header)), Identity)  # harmless beside a good signature


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], "exp", 0, {"b64": 1}, None])
def test_a_critical_header_is_refused_whatever_it_lists(tmp_path: Path, crit: object) -> None:
    assert judged(tmp_path, issue(crit=crit, b64=True)) is Code.AUTH_FAILED


def test_an_unencoded_payload_is_not_read(tmp_path: Path) -> None:
    assert judged(tmp_path, issue(b64=False)) is Code.AUTH_FAILED


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    value = issue()
    clients = read(tmp_path, jwks_file=write_key_set(tmp_path))
    for place in range(0, len(value), 7):
        changed = bytearray(value)
        changed[place] = changed[place] ^ 1
        shown = token(bytes(changed))
        verdict = clients.check(shown)
        last_bits = place == len(value) - 1
        assert last_bits or (clients.judge(shown) if verdict is None else verdict) is Code.AUTH_FAILED


@pytest.mark.parametrize(
    "value",
    [b"", b".", b"..", b"ey..", b"a.b", b"a.b.c", b"a.b.c.d", b"eyJ9.eyJ9.eyJ9", b"ey" * 5000, b"\xff.\xff.\xff"],
)
def test_what_is_no_jwt_is_refused(tmp_path: Path, value: bytes) -> None:
    assert judged(tmp_path, value) is Code.AUTH_FAILED


def test_a_long_one_is_not_read(tmp_path: Path) -> None:
    value = issue({"more": "x" * MAX_TOKEN_BYTES})
    assert judged(tmp_path, value) is Code.AUTH_FAILED
    assert isinstance(judged(tmp_path, issue({"more": "x" * 4000})), Identity)


ISSUER = JwtIssuer.parse(key_set(ED, EC), "")


@given(st.binary(max_size=300) | st.text(max_size=99).map(str.encode), st.binary(max_size=300))
def test_garbage_gets_nothing_and_raises_nothing(first: bytes, second: bytes) -> None:
    for value in (
        first,
        b"ey" + first,
        encoded(first) + b"." + encoded(second) + b".",
        sign(second),
        sign(first, cty="x"),
    ):
        ISSUER.may_be_good_untrusted(value, HOST, NOW)
        assert ISSUER.judge_untrusted(value, HOST, NOW) is None
    head = b"ey" + encoded(b'x{"alg":"Ed25519"}')[2:]
    assert ISSUER.judge_untrusted(head + b"." + first, HOST, NOW) is None


@given(
    st.dictionaries(
        st.sampled_from(("sub", "aud", "exp", "nbf", "iat", "iss", "jti", "routes")),
        st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text()) | st.booleans(),
    )
)
def test_any_claims_are_a_grant_or_nothing(claims: dict[str, object]) -> None:
    grant = ISSUER.judge_untrusted(issue(claims), HOST, NOW)
    assert grant is None or grant.identity.name


PRIVATE = json.dumps({"keys": [ED.as_dict(private=True)]}).encode()
SYMMETRIC = json.dumps({"keys": [OctKey.generate_key(256).as_dict(private=True)]}).encode()
MANY = json.dumps({"keys": [{"kty": "x"}] * 65}).encode()
ED_KEY = ED.as_dict(private=False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no JSON Web Key Set ("),
        (b"[]", "it is no JSON Web Key Set ("),
        (b"{}", "Object missing required field `keys`"),
        (b'{"keys": {}}', "Expected `array`, got `object`"),
        (b'{"keys": [{}]}', "missing required field `kty`"),
        (key_set(ED)[:-9], "it is no JSON Web Key Set ("),
        (b"\xff\xfe", "it is no JSON Web Key Set ("),
        (b"[" * 100_000, "it is no JSON Web Key Set ("),
        (b'{"keys": []}', "it has no key for Ed25519 or ES256: write one"),
        (MANY, "it has 65 keys: write at most 64"),
        (PRIVATE, "keys[0] is a secret key: write public ones only, and make this one anew"),
        (SYMMETRIC, "keys[0] is a secret key"),
        (key_set(ED, STRANGER), "two of its keys have the same kid: write each once"),
        (json.dumps({"keys": [{**ED_KEY, "x": "AA"}]}).encode(), "keys[0] is no Ed25519 key: write it as its issuer"),
        (json.dumps({"keys": [{**ED_KEY, "x": "A" * 43}]}).encode(), "keys[0] is no Ed25519 key"),
        (json.dumps({"keys": [{**EC.as_dict(private=False), "y": "AAAA"}]}).encode(), "keys[0] is no P-256 key"),
        (json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "!!", "y": ""}]}).encode(), "keys[0] is no P-256 key"),
    ],
)
def test_a_key_set_that_cannot_be_used_is_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ClientsUnusable) as caught:
        read(tmp_path, jwks_file=write_key_set(tmp_path, data))
    assert str(caught.value).startswith(f"the key set {tmp_path / 'jwks.json'}: ")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.key == "jwks_file"


def test_keys_of_other_kinds_are_passed_over() -> None:
    others = [
        RSAKey.generate_key(2048).as_dict(private=False),
        OKPKey.generate_key("X25519").as_dict(private=False),
        ECKey.generate_key("P-384").as_dict(private=False),
        {**ED_KEY, "use": "enc"},
        {**ED_KEY, "alg": "ES256"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    ]
    assert (
        len(JwtIssuer.parse(json.dumps({"keys": [*others, {**ED_KEY, "alg": "EdDSA", "use": "sig"}]}).encode(), ""))
        == 1
    )


@given(
    st.binary()
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(("keys", "kty", "crv", "x", "y", "kid")) | st.text(), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_file_is_a_key_set_or_a_line(data: bytes) -> None:
    try:
        JwtIssuer.parse(data, "")
    except ClientsUnusable as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right


def test_another_issuer_in_the_configuration_ends_the_calls_of_the_one_before(tmp_path: Path) -> None:
    """Of one key set several may make use; what counts is whose tokens are taken now."""
    clients = read(tmp_path, jwks_file=write_key_set(tmp_path))
    one, other, none = (clients.judge(token(issue({"iss": iss}))) for iss in ("https://one", "https://other", None))
    assert isinstance(one, Identity)
    assert isinstance(other, Identity)
    assert isinstance(none, Identity)
    assert all(clients.still_holds(each, HOST, ECHO) for each in (one, other, none))
    clients.replace(read(tmp_path, jwks_file=write_key_set(tmp_path), jwt_issuer="https://one").contents)
    assert [clients.still_holds(each, HOST, ECHO) for each in (one, other, none)] == [True, False, False]
