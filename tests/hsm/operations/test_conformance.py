"""What every vendor's token does alike, whatever it says to its callers and however it counts its mechanisms.

Judged by another implementation where there is one to judge: keys are imported, and `cryptography` has them too.
"""

import hmac
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from sottovoce.hsm import KeyName, OperationRefused, SealedSeed
from sottovoce.hsm.errors import KeyAbsent
from sottovoce.hsm.kinds import KeyKind, KeyUse, NewKey, WrapMechanism, WrappedUnder
from sottovoce.hsm.operations.messages import Encrypted
from sottovoce.primitives import verify_spki
from tests.hsm.operations.asking import OneToken
from tests.hsm.operations.conftest import NSS, SOFTHSM, VENDORS, OpenTokens
from tests.hsm.operations.key_child import DROP_SESSIONS, OPEN_SEED, OWN_SIGNATURE, DropSessions, OpenSeed, OwnSignature

pytestmark = pytest.mark.parametrize("vendor", VENDORS)
MISSES = {SOFTHSM: set(), NSS: {KeyKind.ED25519}}
QUICK = {each for each in KeyKind if each is not KeyKind.RSA_PSS_4096}
SIGNING = {each for each in QUICK if each.use is KeyUse.SIGN}

BY_OTHERS = {
    WrapMechanism.AES_KW: keywrap.aes_key_wrap,
    WrapMechanism.AES_KWP: keywrap.aes_key_wrap_with_padding,
}


@pytest.fixture
async def token(opened: OpenTokens, vendor: str) -> AsyncGenerator[OneToken]:
    async with opened(vendor) as pool:
        yield OneToken(pool)
        assert pool.replacements == 0  # whatever was asked amiss, the token was well


async def test_its_own_keys_sign_and_seal(
    token: OneToken, vendor: str, made: Callable[[str], tuple[Path, SealedSeed]]
) -> None:
    assert (await token.ask(OPEN_SEED, OpenSeed(made(vendor)[1]))).length == 32
    await token.ask(OWN_SIGNATURE, OwnSignature())


async def test_it_says_what_it_is_and_can_do(token: OneToken, vendor: str) -> None:
    health = await token.health()
    assert set(health.kinds) == set(KeyKind) - MISSES[vendor]
    assert health.wrapping == (WrapMechanism.AES_KW, WrapMechanism.AES_KWP)
    assert health.manufacturer == {SOFTHSM: "SoftHSM project", NSS: "Mozilla Foundation"}[vendor]


async def test_a_key_of_each_kind_is_made_found_proved_and_destroyed(token: OneToken, vendor: str) -> None:
    for kind in set(KeyKind) - MISSES[vendor]:
        facts = await token.generate("key/one", kind)
        assert (facts.label, facts.kind, facts.is_extractable) == ("key/one", kind, False)
        assert bool(facts.public) is not kind.is_secret
        assert await token.find() == [facts]
        assert await token.find("key/o") == [facts]
        assert await token.find("key/p") == []
        assert await token.export("key/one") == facts
        await token.prove("key/one")
        assert await token.destroy("key/one")
        assert not await token.destroy("key/one")
        assert await token.find() == []
        with pytest.raises(KeyAbsent, match="has no key key/one"):
            await token.export("key/one")


async def test_a_kind_that_it_does_not_have_is_refused(token: OneToken, vendor: str) -> None:
    for kind in MISSES[vendor]:
        with pytest.raises(OperationRefused, match=f"does not have {kind}"):
            await token.generate("key/one", kind)
        assert await token.find() == []


async def test_signatures_verify_outside_and_inside(token: OneToken, vendor: str) -> None:
    for kind in SIGNING - MISSES[vendor]:
        label = f"key/{kind}"
        public = (await token.generate(label, kind)).public
        for message in (b"", b"a message", os.urandom(900_000)):
            signature = await token.sign(label, message)
            assert verify_spki(public, message, signature)
            assert await token.verify(label, message, signature)
            for wrong in (signature[:-1], signature + b"\x00", bytes(len(signature)), b""):
                assert not await token.verify(label, message, wrong)
            assert not await token.verify(label, message + b"\x00", signature)


async def test_a_code_is_the_one_that_others_make(token: OneToken) -> None:
    value = os.urandom(48)
    await token.import_key("key/code", KeyKind.HMAC_SHA384, value)
    for message in (b"", b"a message", os.urandom(70_000)):
        code = await token.sign("key/code", message)
        assert code == hmac.digest(value, message, "sha384")
        assert await token.verify("key/code", message, code)
        assert not await token.verify("key/code", message, code[:-1])
        assert not await token.verify("key/code", message + b"\x00", code)


async def test_what_is_encrypted_others_decrypt_and_the_other_way_round(token: OneToken) -> None:
    value = os.urandom(32)
    await token.import_key("key/seal", KeyKind.AES_256_GCM, value)
    nonces = set()
    for content in (b"", b"c", os.urandom(32), os.urandom(500_000)):
        for data in (b"", b"aad"):
            sealed = await token.encrypt("key/seal", content, data)
            nonces.add(sealed.nonce)
            assert AESGCM(value).decrypt(sealed.nonce, sealed.sealed, data) == content
            nonce = os.urandom(12)
            theirs = Encrypted(nonce, AESGCM(value).encrypt(nonce, content, data))
            with await token.decrypt("key/seal", theirs, data) as opened:
                assert opened.copy_for_sealing() == content
    assert len(nonces) == 8


async def test_what_was_not_sealed_so_is_refused(token: OneToken) -> None:
    await token.generate("key/seal", KeyKind.AES_256_GCM)
    await token.generate("key/other", KeyKind.AES_256_GCM)
    right = await token.encrypt("key/seal", b"content", b"data")
    flipped = bytes([right.sealed[0] ^ 1]) + right.sealed[1:]
    for label, sealed, data in (
        ("key/other", right, b"data"),
        ("key/seal", right, b"date"),
        ("key/seal", right, b""),
        ("key/seal", Encrypted(bytes(12), right.sealed), b"data"),
        ("key/seal", Encrypted(right.nonce, flipped), b"data"),
        ("key/seal", Encrypted(right.nonce, right.sealed[:-1]), b"data"),
        ("key/seal", Encrypted(right.nonce, right.sealed[:16]), b"data"),
        ("key/seal", Encrypted(right.nonce, right.sealed[:15]), b"data"),
        ("key/seal", Encrypted(right.nonce[:11], right.sealed), b"data"),
        ("key/seal", Encrypted(b"", b""), b"data"),
    ):
        with pytest.raises(OperationRefused, match=r"not sealed so by|has a nonce of"):
            await token.decrypt(label, sealed, data)
    with await token.decrypt("key/seal", right, b"data") as opened:
        assert opened.copy_for_sealing() == b"content"


async def test_a_wrapped_key_is_the_one_that_others_wrap(token: OneToken) -> None:
    wrapping = os.urandom(32)
    await token.import_key("key/wrapping", KeyKind.AES_256_WRAP, wrapping)
    for mechanism, by_others in BY_OTHERS.items():
        for kind in (KeyKind.AES_256_GCM, KeyKind.HMAC_SHA384):
            value = os.urandom(kind.value_bytes)
            await token.import_key("key/wrapped", kind, value, is_extractable=True)
            wrapped = await token.wrap("key/wrapping", "key/wrapped", mechanism)
            assert wrapped.wrapped == by_others(wrapping, value)
            facts = await token.unwrap("key/wrapping", wrapped, NewKey("key/again", kind))
            assert await token.find("key/again") == [facts]
            assert (facts.kind, facts.is_extractable) == (kind, False)
            if kind is KeyKind.HMAC_SHA384:
                assert await token.sign("key/again", b"m") == hmac.digest(value, b"m", "sha384")
            else:
                sealed = await token.encrypt("key/again", b"m", b"")
                assert AESGCM(value).decrypt(sealed.nonce, sealed.sealed, b"") == b"m"
            assert await token.destroy("key/again")
            assert await token.destroy("key/wrapped")


async def test_what_was_not_wrapped_so_is_refused_and_leaves_no_key(token: OneToken) -> None:
    await token.generate("key/wrapping", KeyKind.AES_256_WRAP)
    await token.generate("key/other", KeyKind.AES_256_WRAP)
    await token.generate("key/wrapped", KeyKind.AES_256_GCM, is_extractable=True)
    new = NewKey("key/new", KeyKind.AES_256_GCM)
    for mechanism in WrapMechanism:
        right = await token.wrap("key/wrapping", "key/wrapped", mechanism)
        flipped = right.wrapped[:-1] + bytes([right.wrapped[-1] ^ 1])
        other = next(each for each in WrapMechanism if each is not mechanism)
        for label, wrapped, kind in (
            ("key/other", right, new.kind),
            ("key/wrapping", WrappedUnder(mechanism, flipped), new.kind),
            ("key/wrapping", WrappedUnder(mechanism, right.wrapped[:-8]), new.kind),
            ("key/wrapping", WrappedUnder(mechanism, b""), new.kind),
            ("key/wrapping", WrappedUnder(other, right.wrapped), new.kind),
            ("key/wrapping", right, KeyKind.HMAC_SHA384),
            ("key/wrapping", right, KeyKind.ECDSA_P384),
        ):
            with pytest.raises(OperationRefused):
                await token.unwrap(label, wrapped, NewKey("key/new", kind))
            assert await token.find("key/new") == []
        await token.unwrap("key/wrapping", right, new)
        assert await token.destroy("key/new")


async def test_a_key_that_is_not_to_leave_does_not(token: OneToken) -> None:
    """NSS would wrap it: C_WrapKey there does not look at CKA_EXTRACTABLE."""
    await token.generate("key/wrapping", KeyKind.AES_256_WRAP)
    await token.generate("key/stays", KeyKind.AES_256_GCM)
    await token.generate("key/pair", KeyKind.ECDSA_P384)
    for target in ("key/stays", "key/pair", "key/wrapping"):
        with pytest.raises(OperationRefused, match="is not to leave the token"):
            await token.wrap("key/wrapping", target, WrapMechanism.AES_KW)
    with pytest.raises(OperationRefused, match="does not leave its token"):
        await token.generate("key/leaves", KeyKind.ECDSA_P384, is_extractable=True)


async def test_a_shared_secret_is_the_peers(token: OneToken) -> None:
    facts = await token.generate("key/agree", KeyKind.ECDH_P384)
    ours = load_der_public_key(facts.public)
    assert isinstance(ours, ec.EllipticCurvePublicKey)
    for _ in range(3):
        peer = ec.generate_private_key(ec.SECP384R1())
        with await token.derive("key/agree", spki_of(peer)) as shared:
            assert shared.copy_for_sealing() == peer.exchange(ec.ECDH(), ours)
    assert await token.find() == [facts]


async def test_a_peers_key_that_is_none_is_refused(token: OneToken) -> None:
    await token.generate("key/agree", KeyKind.ECDH_P384)
    right = spki_of(ec.generate_private_key(ec.SECP384R1()))
    other_curve = spki_of(ec.generate_private_key(ec.SECP256R1()))
    for wrong in (b"", right[:-1], right[:-1] + bytes([right[-1] ^ 1]), right[-97:], other_curve, bytes(120)):
        with pytest.raises(OperationRefused, match="the peer's key is no"):
            await token.derive("key/agree", wrong)


async def test_random_bytes_are_as_many_as_asked_for_and_never_the_same(token: OneToken) -> None:
    seen = [(await token.random(length)).copy_for_sealing() for length in (1, 16, 48, 4096, 4096)]
    assert [len(each) for each in seen] == [1, 16, 48, 4096, 4096]
    assert seen[-1] != seen[-2]
    for length in (0, -1, 4097):
        with pytest.raises(OperationRefused, match="random bytes may be asked for"):
            await token.random(length)


async def test_the_tokens_own_keys_are_out_of_reach(token: OneToken) -> None:
    labels = [
        *KeyName,
        "sottovoce-anchor-2",
        "key/",
        "key/A",
        "key/../sottovoce-kek",
        "",
        "key/a\x00",
        "key/" + "a" * 65,
    ]
    for label in labels:
        for attempt in (
            token.sign(label, b"m"),
            token.verify(label, b"m", b""),
            token.encrypt(label, b"c", b""),
            token.decrypt(label, Encrypted(bytes(12), bytes(16)), b""),
            token.wrap(label, label, WrapMechanism.AES_KW),
            token.derive(label, spki_of(ec.generate_private_key(ec.SECP384R1()))),
            token.generate(label, KeyKind.AES_256_GCM),
            token.import_key(label, KeyKind.AES_256_GCM, bytes(32)),
            token.export(label),
            token.prove(label),
            token.destroy(label),
        ):
            with pytest.raises(OperationRefused, match=r"a key's label is key/…"):
                await attempt
    assert await token.find("") == []
    await token.ask(OWN_SIGNATURE, OwnSignature())


async def test_a_key_does_what_it_is_for_and_nothing_else(token: OneToken) -> None:
    kinds = {
        KeyUse.SIGN: KeyKind.ECDSA_P384,
        KeyUse.AUTHENTICATE: KeyKind.HMAC_SHA384,
        KeyUse.SEAL: KeyKind.AES_256_GCM,
    }
    kinds |= {KeyUse.WRAP: KeyKind.AES_256_WRAP, KeyUse.AGREE: KeyKind.ECDH_P384}
    for kind in kinds.values():
        await token.generate(f"key/{kind}", kind)
    await token.generate("key/target", KeyKind.AES_256_GCM, is_extractable=True)
    wrapped = await token.wrap(f"key/{KeyKind.AES_256_WRAP}", "key/target", WrapMechanism.AES_KW)
    peer = spki_of(ec.generate_private_key(ec.SECP384R1()))
    for use, kind in kinds.items():
        label = f"key/{kind}"
        attempts = [
            ({KeyUse.SIGN, KeyUse.AUTHENTICATE}, lambda at=label: token.sign(at, b"m")),
            ({KeyUse.SIGN, KeyUse.AUTHENTICATE}, lambda at=label: token.verify(at, b"m", b"")),
            ({KeyUse.SEAL}, lambda at=label: token.encrypt(at, b"c", b"")),
            ({KeyUse.SEAL}, lambda at=label: token.decrypt(at, Encrypted(bytes(12), bytes(16)), b"")),
            ({KeyUse.WRAP}, lambda at=label: token.wrap(at, "key/target", WrapMechanism.AES_KW)),
            ({KeyUse.WRAP}, lambda at=label: token.unwrap(at, wrapped, NewKey("key/new", KeyKind.AES_256_GCM))),
            ({KeyUse.AGREE}, lambda at=label: token.derive(at, peer)),
        ]
        for uses, attempt in attempts:
            if use not in uses:
                with pytest.raises(OperationRefused, match=f"is {kind}, which is not to "):
                    await attempt()


async def test_an_imported_key_has_the_length_of_its_kind(token: OneToken) -> None:
    for kind, length in ((KeyKind.AES_256_GCM, 16), (KeyKind.AES_256_GCM, 33), (KeyKind.HMAC_SHA384, 47)):
        with pytest.raises(OperationRefused, match="has another length"):
            await token.import_key("key/one", kind, os.urandom(length))
    with pytest.raises(OperationRefused, match="a key that is imported is a secret one"):
        await token.import_key("key/one", KeyKind.ECDSA_P384, os.urandom(48))
    assert await token.find() == []


async def test_a_label_is_one_keys_however_many_ask_for_it_at_once(token: OneToken) -> None:
    made: list[KeyKind] = []
    refused: list[str] = []

    async def generate(kind: KeyKind) -> None:
        try:
            made.append((await token.generate("key/one", kind)).kind)
        except OperationRefused as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        for kind in (KeyKind.ECDSA_P384, KeyKind.AES_256_GCM, KeyKind.HMAC_SHA384, KeyKind.ECDH_P384) * 2:
            nursery.start_soon(generate, kind)
    assert [facts.kind for facts in await token.find()] == made
    assert len(made) == 1
    assert refused == ["there is a key called key/one already: choose another name, or destroy it first"] * 7


async def test_a_key_that_is_destroyed_is_gone_for_every_thread_and_a_new_one_is_itself(token: OneToken) -> None:
    for _ in range(3):
        public = (await token.generate("key/one", KeyKind.ECDSA_P256)).public
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(check_signature, token, public, f"message {number}".encode())
        await token.destroy("key/one")
        for _ in range(4):
            with pytest.raises(KeyAbsent):
                await token.sign("key/one", b"m")


async def test_sessions_that_the_token_drops_cost_no_call_and_no_process(token: OneToken) -> None:
    facts = [await token.generate(f"key/{kind}", kind) for kind in (KeyKind.ECDSA_P384, KeyKind.AES_256_GCM)]
    sealed = await token.encrypt(facts[1].label, b"content", b"")
    for _ in range(3):
        await token.ask(DROP_SESSIONS, DropSessions())
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(check_signature, token, facts[0].public, f"{number}".encode(), facts[0].label)
        await token.ask(DROP_SESSIONS, DropSessions())
        with await token.decrypt(facts[1].label, sealed, b"") as opened:
            assert opened.copy_for_sealing() == b"content"
        await token.ask(DROP_SESSIONS, DropSessions())
        assert await token.find() == sorted(facts, key=lambda each: each.label)
        await token.ask(DROP_SESSIONS, DropSessions())
        await token.generate("key/new", KeyKind.ECDSA_P256)
        await token.ask(DROP_SESSIONS, DropSessions())
        assert await token.destroy("key/new")


async def check_signature(token: OneToken, public: bytes, message: bytes, label: str = "key/one") -> None:
    assert verify_spki(public, message, await token.sign(label, message))


async def test_keys_are_there_after_a_restart(opened: OpenTokens, vendor: str) -> None:
    async with opened(vendor) as pool:
        before = [await OneToken(pool).generate(f"key/{kind}", kind) for kind in QUICK - MISSES[vendor]]
    async with opened(vendor) as pool:
        assert await OneToken(pool).find() == sorted(before, key=lambda facts: facts.label)
        for facts in before:
            await OneToken(pool).prove(facts.label)


def spki_of(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
