"""Roots and voice certificates out of a real token."""

from pathlib import Path

import pytest

from sottovoce.app.places import ANCHORS, SERVING_LIST
from sottovoce.hsm import ONLY_NODE, STATUS, OperationRefused, Status, TokenLost
from sottovoce.identity import (
    ISSUE_VOICE_CERTIFICATE,
    MAX_VOICE_CERTIFICATE_SECONDS,
    SIGN_ROOT,
    IssueVoiceCertificate,
    ServingKeys,
    SignRoot,
    format_serving_keys,
    load_anchors,
)
from sottovoce.identity.seeds import sign_verified
from sottovoce.primitives import MldsaSigner, Secret, SignatureAlgorithm
from sottovoce.session import (
    CertificateRefused,
    LeafKind,
    VoiceCertificate,
    decode_certificate_untrusted,
    signed_root,
    verify_certificate,
)
from sottovoce.transport import SystemClock
from tests.app.directories import DEADLINE, HOSTS, OpenToken
from tests.identity.test_serving import A, B

ROOT = bytes(range(48))


async def issued(opened: OpenToken, *names: str, seconds: int = 3600, node: str = ONLY_NODE) -> VoiceCertificate:
    async with opened() as token:
        question = IssueVoiceCertificate(node, names, seconds)
        answer = await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)
        status = await token.call(STATUS, Status(), deadline_seconds=DEADLINE)
        assert status.counts.pop("keys_found") > 0
        assert status.counts == {"voice_certificates_issued": 1}
    return decode_certificate_untrusted(answer.certificate)


async def test_both_signatures_of_a_root_hold_under_the_certificates_keys(opened: OpenToken) -> None:
    keys = (await issued(opened, "localhost")).fields
    assert keys.pq is not None
    async with opened() as token:
        for kind in LeafKind:
            answer = await token.call(SIGN_ROOT, SignRoot(kind, ROOT), deadline_seconds=DEADLINE)
            assert keys.classical.verify(signed_root(kind, ROOT), answer.classical)
            assert keys.pq.verify(signed_root(kind, ROOT), answer.pq)
            other = LeafKind.REKEY_VERIFY if kind is LeafKind.SERVER_VERIFY else LeafKind.SERVER_VERIFY
            assert not keys.classical.verify(signed_root(other, ROOT), answer.classical)


@pytest.mark.protocol("P6.25")
@pytest.mark.parametrize(("kind", "root"), [(0, ROOT), (3, ROOT), (1, ROOT[:-1]), (1, b""), (2, ROOT + b"\x00")])
async def test_anything_but_a_root_of_a_known_kind_is_refused(opened: OpenToken, kind: int, root: bytes) -> None:
    async with opened() as token:
        with pytest.raises(OperationRefused, match="a root has a known kind and 48 bytes"):
            await token.call(SIGN_ROOT, SignRoot(kind, root), deadline_seconds=DEADLINE)
        assert token.replacements == 0


async def test_a_voice_certificate_convinces_a_client(opened: OpenToken, directory: Path) -> None:
    anchors = load_anchors(directory / ANCHORS)
    wall = SystemClock().wall()
    certificate = await issued(opened, *HOSTS, seconds=MAX_VOICE_CERTIFICATE_SECONDS)
    for host in ("localhost", "127.0.0.1", "::1", "a.voice.example"):
        assert verify_certificate(certificate, anchors, host, wall) is anchors[0]
    fields = certificate.fields
    assert fields.classical.algorithm is SignatureAlgorithm.ECDSA_P384
    assert fields.pq is not None
    assert fields.pq.algorithm is SignatureAlgorithm.MLDSA65
    assert anchors[0].pq is not None
    assert anchors[0].pq.algorithm is SignatureAlgorithm.MLDSA87
    assert fields.not_after - fields.not_before == MAX_VOICE_CERTIFICATE_SECONDS
    assert len({fields.classical.key, fields.pq.key, anchors[0].classical.key, anchors[0].pq.key}) == 4
    with pytest.raises(CertificateRefused):
        verify_certificate(certificate, anchors, "elsewhere.example", wall)


@pytest.mark.parametrize(
    ("names", "seconds", "reason"),
    [
        ((), 3600, "names at least one host"),
        (("",), 3600, "names at least one host"),
        (tuple(f"{n:0>62}" for n in range(17)), 3600, "1024 bytes"),
        (("localhost",), 59, "lives for 60 s to 7 days"),
        (("localhost",), MAX_VOICE_CERTIFICATE_SECONDS + 1, "lives for 60 s to 7 days"),
    ],
)
async def test_an_unfit_request_is_refused(
    opened: OpenToken, names: tuple[str, ...], seconds: int, reason: str
) -> None:
    async with opened() as token:
        question = IssueVoiceCertificate(ONLY_NODE, names, seconds)
        with pytest.raises(OperationRefused, match=reason):
            await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)


def keys_of(certificate: VoiceCertificate) -> ServingKeys:
    assert certificate.fields.pq is not None
    return ServingKeys(certificate.fields.classical, certificate.fields.pq)


async def test_the_anchor_certifies_the_published_keys_of_any_node(opened: OpenToken, directory: Path) -> None:
    own = keys_of(await issued(opened, "localhost"))
    (directory / SERVING_LIST).write_bytes(format_serving_keys({ONLY_NODE: own, "b": B}))
    anchors, wall = load_anchors(directory / ANCHORS), SystemClock().wall()
    for node, keys in ((ONLY_NODE, own), ("b", B)):
        certificate = await issued(opened, "localhost", node=node)
        assert keys_of(certificate) == keys
        assert verify_certificate(certificate, anchors, "localhost", wall) is anchors[0]


async def test_keys_that_are_published_nowhere_are_not_certified(opened: OpenToken, directory: Path) -> None:
    with pytest.raises(OperationRefused, match=r"serving\.json has no serving keys of node b: publish"):
        await issued(opened, "localhost", node="b")
    own = keys_of(await issued(opened, "localhost"))
    path = directory / SERVING_LIST
    path.write_bytes(format_serving_keys({ONLY_NODE: own, "b": B}))
    async with opened() as token:
        question = IssueVoiceCertificate("b", ("localhost",), 3600)
        await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)
        path.write_bytes(format_serving_keys({ONLY_NODE: own}))
        with pytest.raises(OperationRefused, match="no serving keys of node b"):
            await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)
        path.write_bytes(format_serving_keys({ONLY_NODE: A, "b": B}))
        with pytest.raises(OperationRefused, match="other serving keys of node main"):
            await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)
        path.write_bytes(b"spoiled")
        with pytest.raises(OperationRefused, match="is no list of serving keys"):
            await token.call(ISSUE_VOICE_CERTIFICATE, question, deadline_seconds=DEADLINE)


@pytest.mark.parametrize("listed", [{ONLY_NODE: A}, {"b": B}, {}], ids=["others", "none of its own", "none"])
async def test_a_token_whose_own_keys_are_published_otherwise_does_not_start(
    listed: dict[str, ServingKeys], opened: OpenToken, directory: Path
) -> None:
    (directory / SERVING_LIST).write_bytes(format_serving_keys(listed))
    with pytest.raises(OperationRefused, match=r"serving\.json has other serving keys of node main .*restore both"):
        async with opened():
            pass


def test_a_wrong_mldsa_signature_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    with Secret("seed", bytes(32)) as seed:
        signer = MldsaSigner(SignatureAlgorithm.MLDSA65, seed)
    assert signer.public_key.verify(b"message", sign_verified(signer, b"message"))
    monkeypatch.setattr(signer, "sign", lambda _: bytes(3309))
    with pytest.raises(TokenLost, match="a wrong MLDSA65 signature was made"):
        sign_verified(signer, b"message")
