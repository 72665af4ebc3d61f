"""An issuer of JWTs, as an identity provider is one; and what it can be made to sign."""

import base64
import json
from pathlib import Path

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from tests.identity.clients.files import NOW

CLAIMS: dict[str, object] = {"sub": "kiosk-7", "aud": "voice.example.com", "exp": NOW + 60}
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = OKPKey.generate_key("Ed25519", {"kid": "ed"})


def key_set(*keys: OKPKey | ECKey) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def write_key_set(directory: Path, data: bytes | None = None) -> str:
    file = directory / "jwks.json"
    file.write_bytes(key_set(ED, EC) if data is None else data)
    return str(file)


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def issue(
    claims: dict[str, object] | None = None, *, key: OKPKey | ECKey = ED, alg: str = "Ed25519", **header: object
) -> bytes:
    """Sign claims; what is None is left out."""
    found = {name: value for name, value in {**CLAIMS, **(claims or {})}.items() if value is not None}
    return sign(json.dumps(found).encode(), key=key, alg=alg, **header)


def sign(payload: bytes, *, key: OKPKey | ECKey = ED, alg: str = "Ed25519", **header: object) -> bytes:
    """Sign a payload by hand, so that no header is too odd; "leave out" leaves one out."""
    fields = {name: value for name, value in {"alg": alg, "kid": key.kid, **header}.items() if value != "leave out"}
    head = json.dumps(fields).encode()
    signed = encoded(head) + b"." + encoded(payload)
    real = {"EdDSA": "Ed25519"}.get(alg, alg)
    signature = jws.JWSRegistry.algorithms[real].sign(signed, key)
    return signed + b"." + encoded(signature)
