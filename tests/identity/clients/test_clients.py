"""The judge of credentials: all kinds, and what becomes of those who are taken out."""

from pathlib import Path
from typing import Any

import pytest

from sottovoce.identity import Clients, ClientsConfig, ClientsUnusable, read_contents
from sottovoce.pki import format_public_key, new_private_key
from sottovoce.primitives import PublicKey
from sottovoce.primitives.signatures import PemSigner
from sottovoce.session import CredentialCheck, Identity, ShownCredential
from sottovoce.transport import SystemEntropy
from sottovoce.wire import Code
from tests.identity.clients.files import ECHO, HOST, NOW, certificate, digest, key, read, token, token_entry
from tests.identity.clients.jwts import issue, write_key_set
from tests.pki.clients.authorities import Authority, der, named

PRIVATE, PUBLIC = new_private_key("ed25519")
SIGNATURE = PemSigner.from_pem(PRIVATE).sign(b"what is signed")
STRANGER = new_private_key("ed25519")[1]
CA = Authority()
LEAF, OTHER_LEAF = CA.issue(), CA.issue()
NOBODY = ShownCredential(0, b"", HOST, ECHO)
SUPPORT = b"/v1/voice/support"


def key_entry(public: PublicKey = PUBLIC, more: str = "", name: str = "robot") -> str:
    return f'[[client]]\nname = "{name}"\npublic_key = "{format_public_key(public)}"\n{more}\n'


def final(clients: CredentialCheck, shown: ShownCredential) -> Identity | Code:
    verdict = clients.check(shown)
    return clients.judge(shown) if verdict is None else verdict


def good(clients: Clients, shown: ShownCredential) -> Identity:
    verdict = final(clients, shown)
    assert isinstance(verdict, Identity)
    return verdict


def with_cas(directory: Path, *authorities: Authority, lists: bytes = b"") -> dict[str, Any]:
    (directory / "ca.pem").write_bytes(b"".join(each.pem for each in authorities or (CA,)))
    if not lists:
        return {"ca_file": str(directory / "ca.pem")}
    (directory / "crl.pem").write_bytes(lists)
    return {"ca_file": str(directory / "ca.pem"), "crl_file": str(directory / "crl.pem")}


# Kinds 0 and 1


def test_a_known_token_gives_its_identity(tmp_path: Path) -> None:
    clients = read(tmp_path, token_entry())
    known = Identity("open", None, 1, f"token:{digest(b'good')[:12]}")
    assert clients.check(token(b"good")) == known
    assert clients.check(token(b"good", b"VOICE.example.com", ECHO + b"?x=1")) == known
    assert clients.check(token(b"good", b"localhost:8443", b"/v1/voice/any")) == known
    assert clients.judge(token(b"good")) == known
    assert clients.contents.tokens == 1


@pytest.mark.parametrize("value", [b"", b"goo", b"good ", b"Good", b"\xff" * 4000, bytes.fromhex(digest(b"good"))])
def test_an_unknown_token_is_refused(tmp_path: Path, value: bytes) -> None:
    assert read(tmp_path, token_entry()).check(token(value)) is Code.AUTH_FAILED


@pytest.mark.protocol("P4.16")
@pytest.mark.parametrize("authority", [b"", b"voice.example.com:8443", b"localhost", b"x.voice.example.com", b"\xff"])
def test_a_token_of_another_audience_is_refused(tmp_path: Path, authority: bytes) -> None:
    assert read(tmp_path, token_entry()).check(token(b"good", authority)) is Code.AUTH_FAILED


def test_a_route_that_is_not_its_own_is_a_matter_of_policy(tmp_path: Path) -> None:
    clients = read(tmp_path, token_entry(more='routes = ["echo", "support"]'))
    good(clients, token(b"good"))
    good(clients, token(b"good", path=SUPPORT + b"?a=b"))
    for path in (b"/v1/voice/other", b"/v1/voice/", b"/v1/voice/echo/", b"/v1/voice/ech%6f", b"echo", b""):
        assert clients.check(token(b"good", path=path)) is Code.POLICY
    assert clients.check(token(b"bad", path=b"/v1/voice/other")) is Code.AUTH_FAILED


def test_a_token_ends(tmp_path: Path) -> None:
    text = token_entry(more="expires = 2027-01-15T08:00:01Z")
    assert good(read(tmp_path, text), token(b"good")).expires_at == NOW + 1
    assert read(tmp_path, text, now=NOW + 1).check(token(b"good")) is Code.AUTH_FAILED


def test_no_credential_is_enough_only_where_the_configuration_says_so(tmp_path: Path) -> None:
    strict = read(tmp_path, token_entry(), require_credential=True)
    lenient = read(tmp_path, token_entry())
    assert strict.check(NOBODY) is Code.AUTH_FAILED
    assert lenient.check(NOBODY) == Identity("")
    assert lenient.check(token(b"bad")) is Code.AUTH_FAILED
    assert lenient.still_holds(Identity(""), HOST, ECHO)
    assert not strict.still_holds(Identity(""), HOST, ECHO)


def test_without_any_file_nobody_has_a_name() -> None:
    clients = Clients(read_contents(ClientsConfig(), lambda: NOW, SystemEntropy()), lambda: NOW)
    assert clients.check(NOBODY) == Identity("")
    assert clients.check(token(b"")) is Code.AUTH_FAILED
    assert clients.kinds == (0,)


def test_the_digests_do_not_order_the_look_up(tmp_path: Path) -> None:
    """Two readings of the same file look tokens up under different keys."""
    first, second = read(tmp_path, token_entry()).contents, read(tmp_path, token_entry()).contents
    assert set(first._tokens) != set(second._tokens)
    assert bytes.fromhex(digest(b"good")) not in first._tokens


# Kind 2


@pytest.mark.protocol("P4.18")
def test_a_key_counts_when_its_owner_signs(tmp_path: Path) -> None:
    clients = read(tmp_path, key_entry())
    assert clients.check(key(PUBLIC, SIGNATURE)) is None
    found = good(clients, key(PUBLIC, SIGNATURE, b"any.example"))
    assert (found.name, found.kind) == ("robot", 2)
    for wrong in (b"", bytes(64), SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1])):
        assert final(clients, key(PUBLIC, wrong)) is Code.AUTH_FAILED


def test_a_key_that_cannot_be_good_is_refused_without_a_signature_being_looked_at(tmp_path: Path) -> None:
    for shown, text in (
        (key(STRANGER, SIGNATURE), key_entry()),
        (key(PUBLIC, SIGNATURE), key_entry(more="expires = 2027-01-15")),
        (key(PUBLIC, SIGNATURE), key_entry(more='audience = ["other.example.com"]')),
        (key(PUBLIC, SIGNATURE), 'withdrawn = ["robot"]\n' + key_entry()),
        (ShownCredential(2, PUBLIC.encoded, HOST, ECHO), key_entry()),
    ):
        assert read(tmp_path, text).check(shown) is Code.AUTH_FAILED
        assert read(tmp_path, text).judge(shown) is Code.AUTH_FAILED


def test_whose_route_it_is_only_the_owner_of_the_key_is_told(tmp_path: Path) -> None:
    clients = read(tmp_path, key_entry(more='routes = ["support"]'))
    assert final(clients, key(PUBLIC, SIGNATURE)) is Code.POLICY
    assert final(clients, key(PUBLIC, bytes(64))) is Code.AUTH_FAILED
    good(clients, key(PUBLIC, SIGNATURE, path=SUPPORT))


# Kind 3


@pytest.mark.protocol("P4.19")
def test_a_certificate_counts_when_a_ca_of_ours_issued_it(tmp_path: Path) -> None:
    clients = read(tmp_path, **with_cas(tmp_path))
    assert clients.check(certificate(der(LEAF))) is None
    found = good(clients, certificate(der(LEAF)))
    assert (found.name, found.kind) == ("kiosk-7.example.com", 3)
    assert found.credential.startswith(f"certificate:{LEAF.serial_number:x}@")
    assert final(clients, certificate(der(Authority().issue()))) is Code.AUTH_FAILED
    assert clients.check(ShownCredential(3, bytes(32), HOST, ECHO)) is Code.AUTH_FAILED
    assert read(tmp_path).check(certificate(der(LEAF))) is Code.AUTH_FAILED


@pytest.mark.parametrize("name", ["a\nb", " a", "a\u202e"])
def test_a_name_that_nobody_may_have_is_nobodys(tmp_path: Path, name: str) -> None:
    clients = read(tmp_path, **with_cas(tmp_path))
    assert final(clients, certificate(der(CA.issue(names=(), subject=named(name))))) is Code.AUTH_FAILED


# All kinds


def all_kinds(directory: Path, text: str = "", **more: Any) -> Clients:
    everything = text + token_entry() + key_entry()
    cas = {} if "ca_file" in more else with_cas(directory)
    return read(directory, everything, jwks_file=write_key_set(directory), **cas, **more)


def test_kinds_are_those_that_somebody_could_show(tmp_path: Path) -> None:
    assert all_kinds(tmp_path).kinds == (0, 1, 2, 3)
    assert all_kinds(tmp_path, require_credential=True).kinds == (1, 2, 3)
    assert read(tmp_path, key_entry()).kinds == (0, 2)
    assert read(tmp_path, jwks_file=write_key_set(tmp_path)).kinds == (0, 1)
    assert read(tmp_path, require_credential=True).kinds == (1,)


@pytest.mark.parametrize("kind", [4, 255])
def test_other_kinds_are_refused(tmp_path: Path, kind: int) -> None:
    shown = ShownCredential(kind, b"good", HOST, ECHO)
    assert all_kinds(tmp_path).check(shown) is Code.AUTH_FAILED
    assert all_kinds(tmp_path).judge(shown) is Code.AUTH_FAILED


SHOWN = {
    "token": token(b"good"),
    "jwt": token(issue({"jti": "j-1"})),
    "key": key(PUBLIC, SIGNATURE),
    "certificate": certificate(der(LEAF)),
}


def test_a_serial_number_is_withdrawn_however_it_is_written(tmp_path: Path) -> None:
    serial = LEAF.serial_number.to_bytes(20)
    for written in (
        serial.hex(),
        serial.hex().upper(),
        serial.hex(":").upper(),
        f"00{serial.hex()}",
        f"0x{serial.hex()}",
    ):
        clients = all_kinds(tmp_path, f'withdrawn = ["certificate:{written}"]\n')
        assert final(clients, SHOWN["certificate"]) is Code.AUTH_FAILED
        good(clients, certificate(der(OTHER_LEAF)))


@pytest.mark.protocol("P4.22")
@pytest.mark.parametrize("kind", SHOWN)
def test_whoever_is_withdrawn_is_refused_and_no_longer_holds(tmp_path: Path, kind: str) -> None:
    before = all_kinds(tmp_path)
    identity = good(before, SHOWN[kind])
    assert before.still_holds(identity, HOST, ECHO)
    for name in (identity.name, identity.credential, identity.credential.partition("@")[0]):
        after = all_kinds(tmp_path, f'withdrawn = ["{name}"]\n')
        assert final(after, SHOWN[kind]) is Code.AUTH_FAILED
        assert not after.still_holds(identity, HOST, ECHO)
        others = [good(after, shown) for other, shown in SHOWN.items() if other != kind]
        assert all(after.still_holds(each, HOST, ECHO) for each in others)


@pytest.mark.protocol("P4.22")
def test_whoever_is_taken_out_no_longer_holds_and_the_others_do(tmp_path: Path) -> None:
    clients = all_kinds(tmp_path)
    found = {kind: good(clients, shown) for kind, shown in SHOWN.items()}

    def holding(contents: Clients) -> set[str]:
        clients.replace(contents.contents)
        return {kind for kind, identity in found.items() if clients.still_holds(identity, HOST, ECHO)}

    assert holding(all_kinds(tmp_path)) == set(SHOWN)
    assert holding(read(tmp_path)) == set()
    everything: dict[str, Any] = {"jwks_file": write_key_set(tmp_path), **with_cas(tmp_path)}
    assert holding(read(tmp_path, token_entry(), **everything)) == {"token", "jwt", "certificate"}
    assert holding(read(tmp_path, token_entry() + key_entry(), **with_cas(tmp_path))) == {"token", "key", "certificate"}
    revoked = with_cas(tmp_path, lists=CA.revoke(LEAF))
    assert holding(all_kinds(tmp_path, **revoked)) == {"token", "jwt", "key"}
    assert holding(all_kinds(tmp_path, **with_cas(tmp_path, lists=CA.revoke(OTHER_LEAF)))) == set(SHOWN)
    assert holding(all_kinds(tmp_path, **with_cas(tmp_path, Authority()))) == {"token", "jwt", "key"}


def test_what_a_token_may_is_asked_of_the_file_of_the_moment(tmp_path: Path) -> None:
    clients = read(tmp_path, token_entry())
    identity = good(clients, token(b"good"))
    for text, holds in (
        (token_entry(name="renamed"), False),
        (token_entry(b"another"), False),
        (token_entry(more='routes = ["support"]'), False),
        (token_entry(more='routes = ["echo"]'), True),
        (token_entry(more="expires = 2027-01-15"), False),
        (token_entry(more="expires = 2027-01-16"), True),
        (token_entry().replace("Voice", "other"), False),
    ):
        clients.replace(read(tmp_path, text).contents)
        assert clients.still_holds(identity, HOST.upper(), ECHO) is holds


def test_an_identity_that_has_expired_no_longer_holds(tmp_path: Path) -> None:
    wall = [NOW]
    (tmp_path / "clients.toml").write_text(token_entry(more="expires = 2027-01-15T08:00:01Z"))
    config = ClientsConfig(file=str(tmp_path / "clients.toml"), jwks_file=write_key_set(tmp_path))
    clients = Clients(read_contents(config, lambda: wall[0], SystemEntropy()), lambda: wall[0])
    identities = [good(clients, token(b"good")), good(clients, token(issue({"exp": NOW + 1})))]
    assert all(clients.still_holds(each, HOST, ECHO) for each in identities)
    wall[0] += 1
    assert not any(clients.still_holds(each, HOST, ECHO) for each in identities)


def test_an_identity_that_was_never_given_out_does_not_hold(tmp_path: Path) -> None:
    clients = all_kinds(tmp_path)
    for credential in ("", "token:", "jwt:", "jwt:x@", "certificate:", "certificate:zz@00", "key:00", "other:1"):
        assert not clients.still_holds(Identity("x", None, 1, credential), HOST, ECHO)


def test_what_is_withdrawn_between_the_two_steps_is_refused_in_the_second(tmp_path: Path) -> None:
    clients = all_kinds(tmp_path)
    for shown in (SHOWN["jwt"], SHOWN["key"], SHOWN["certificate"]):
        clients.replace(all_kinds(tmp_path).contents)
        assert clients.check(shown) is None
        clients.replace(read(tmp_path).contents)
        assert clients.judge(shown) is Code.AUTH_FAILED


EXPIRED = Authority(days=(-9, -1))


@pytest.mark.parametrize("fault", ["file", "jwks_file", "ca_file", "crl_file"])
def test_a_file_that_cannot_be_used_leaves_the_old_contents_and_says_so_in_one_line(tmp_path: Path, fault: str) -> None:
    clients = all_kinds(tmp_path, **with_cas(tmp_path, lists=CA.revoke()))
    before = clients.contents
    spoilt: dict[str, tuple[str, bytes]] = {
        "file": ("clients.toml", (token_entry() + key_entry()).encode()[:-70]),
        "jwks_file": ("jwks.json", b'{"keys": [{"kty": "OKP"'),
        "ca_file": ("ca.pem", EXPIRED.pem),
        "crl_file": ("crl.pem", CA.revoke(days=(-9, -1))),
    }
    name, data = spoilt[fault]
    (tmp_path / name).write_bytes(data)
    config = ClientsConfig(
        file=str(tmp_path / "clients.toml"),
        jwks_file=str(tmp_path / "jwks.json"),
        ca_file=str(tmp_path / "ca.pem"),
        crl_file=str(tmp_path / "crl.pem"),
    )
    with pytest.raises(ClientsUnusable) as caught:
        read_contents(config, lambda: NOW, SystemEntropy())
    assert str(caught.value).isprintable()
    assert str(tmp_path / name) in str(caught.value)
    assert caught.value.key == fault
    assert clients.contents is before
    assert all(clients.still_holds(good(clients, shown), HOST, ECHO) for shown in SHOWN.values())


def test_the_audit_log_is_told_who_came_and_who_went(tmp_path: Path) -> None:
    before = read(tmp_path, token_entry() + key_entry()).contents
    after = read(tmp_path, 'withdrawn = ["x.example"]\n' + key_entry() + token_entry(b"new", name="new")).contents
    said = [(type(event).__name__, event.name, event.credential) for event in after.changes_since(before)]  # type: ignore[attr-defined]
    assert said == [
        ("ClientAdded", "new", f"token:{digest(b'new')[:12]}"),
        ("ClientRevoked", "open", f"token:{digest(b'good')[:12]}"),
        ("ClientRevoked", "x.example", ""),
    ]
    assert after.changes_since(after) == ()


def test_the_configuration_names_what_is_to_be_watched(tmp_path: Path) -> None:
    config = ClientsConfig(file="clients.toml", ca_file="/etc/ca.pem").resolved(tmp_path)
    assert config.files() == (tmp_path / "clients.toml", Path("/etc/ca.pem"))
    assert ClientsConfig().resolved(tmp_path).files() == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"require_credential": True}, "require_credential: no client could pass; write file, jwks_file or ca_file"),
        ({"jwt_issuer": "x"}, "jwt_issuer: no key is there to check a JWT with; write jwks_file"),
        ({"crl_file": "x"}, "crl_file: no CA is there whose list it could be; write ca_file"),
    ],
)
def test_fields_that_do_not_go_together(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ClientsConfig(**fields)  # type: ignore[arg-type]  by name
