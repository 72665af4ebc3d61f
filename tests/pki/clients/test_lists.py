"""Revocation lists of clients' CAs: taken whole, or not at all."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.pki import ClientCas, RevocationListUnusable
from tests.pki.clients.authorities import DAY, NOW, Authority, cas, der, key_usage, unix

CA = Authority()
OTHER = Authority("other")
GOOD, BAD = CA.issue(), CA.issue()


def point(**fields: object) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """Say for whom a list is (RFC 5280 §5.2.5)."""
    nothing: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return ((x509.IssuingDistributionPoint(**{**nothing, **fields}), True),)  # type: ignore[arg-type]  by name


def test_a_revoked_certificate_is_nobodys() -> None:
    found = cas(CA, lists=CA.revoke(BAD))
    good, was_bad = (cas(CA).judge_untrusted(der(each), unix()) for each in (GOOD, BAD))
    assert good is not None
    assert was_bad is not None
    assert found.judge_untrusted(der(GOOD), unix()) == good
    assert found.judge_untrusted(der(BAD), unix()) is None
    assert found.still_vouches(good.certificate_id)
    assert not found.still_vouches(was_bad.certificate_id)


def test_the_same_number_of_another_ca_is_not_meant() -> None:
    found = cas(CA, OTHER, lists=CA.revoke() + OTHER.revoke(GOOD))
    assert found.judge_untrusted(der(GOOD), unix()) is not None


def test_a_list_that_becomes_outdated_lets_nobody_in_and_ends_no_call() -> None:
    found = cas(CA, lists=CA.revoke(BAD))
    client = found.judge_untrusted(der(GOOD), unix(6.9))
    assert client is not None
    assert found.judge_untrusted(der(GOOD), unix(7)) is None
    assert found.still_vouches(client.certificate_id)


def test_lists_for_clients_alone_and_from_a_clock_ahead_are_taken() -> None:
    assert cas(CA, lists=CA.revoke(BAD, more=point(only_contains_user_certs=True)))
    assert cas(CA, lists=CA.revoke(BAD, days=(250 / 86_400, 1)))
    assert cas(CA, lists=CA.revoke(BAD, more=((x509.CRLNumber(7), False),)))


WITHOUT_LISTS = Authority("x", usage=key_usage(sign=True, lists=False))
DELTA = ((x509.DeltaCRLIndicator(1), True),)
UNKNOWN = ((x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        (b"", "it holds no list in PEM: write one of each CA"),
        (CA.pem, "it holds no list in PEM"),
        (CA.revoke()[:-30], "it holds no list in PEM"),
        (CA.revoke().replace(b"MI", b"AI", 1), "a list in it is damaged: write it as openssl crl"),
        (CA.revoke() + CA.revoke(), "CN=clients has two lists: write only its last one"),
        (OTHER.revoke(), "the list of CN=other is signed by none of the CAs in clients.ca_file: ask that CA"),
        (CA.revoke(key=OTHER.key), "the list of CN=clients is signed by none of the CAs"),
        (CA.revoke(days=(-9, -1)), "the list of CN=clients is outdated since 2027-01-14 08:00 UTC: ask its CA"),
        (CA.revoke(days=(-9, 0)), "the list of CN=clients is outdated since 2027-01-15 08:00 UTC"),
        (CA.revoke(days=(1, 2)), "the list of CN=clients is valid only from 2027-01-16 08:00 UTC on: check the clock"),
        (CA.revoke(more=DELTA), "the list of CN=clients holds changes only: ask its CA for a full list"),
        (CA.revoke(more=UNKNOWN), "has the unknown critical extension 1.2.3.4: ask for one without it"),
        (CA.revoke(more=point(only_contains_ca_certs=True)), "is not for all clients: ask its CA for a full list"),
        (CA.revoke(more=point(only_contains_attribute_certs=True)), "is not for all clients"),
        (CA.revoke(more=point(indirect_crl=True)), "is not for all clients"),
        (
            CA.revoke(more=point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))),
            "is not for all clients",
        ),
    ],
)
def test_lists_that_cannot_be_used_are_one_line(lists: bytes, reason: str) -> None:
    with pytest.raises(RevocationListUnusable) as caught:
        ClientCas.read(CA.pem, lists, unix())
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


def test_each_ca_has_its_list() -> None:
    with pytest.raises(RevocationListUnusable, match="the CA CN=other has no list: write its list too, be it empty"):
        cas(CA, OTHER, lists=CA.revoke())
    assert len(cas(CA, OTHER, lists=OTHER.revoke() + CA.revoke())) == 2


def test_a_ca_that_may_not_sign_lists_signs_none() -> None:
    with pytest.raises(RevocationListUnusable, match="signed by none of the CAs"):
        cas(WITHOUT_LISTS, lists=WITHOUT_LISTS.revoke())


def test_a_ca_that_its_own_ca_revoked_is_not_taken() -> None:
    below = Authority("below", parent=CA)
    with pytest.raises(RevocationListUnusable, match="the CA CN=below is revoked by its own CA: write clients"):
        cas(CA, below, lists=CA.revoke(below.certificate) + below.revoke())
    assert cas(CA, below, lists=CA.revoke() + below.revoke())


def test_a_list_signed_over_a_hash_that_is_not_taken_is_signed_by_nobody() -> None:
    weak = Authority("weak")
    builder = x509.CertificateRevocationListBuilder().issuer_name(weak.name).last_update(NOW - DAY)
    crl = builder.next_update(NOW + DAY).sign(weak.key, hashes.SHA224())
    with pytest.raises(RevocationListUnusable, match="signed by none of the CAs"):
        cas(weak, lists=crl.public_bytes(Encoding.PEM))


@given(st.binary() | st.binary().map(lambda data: CA.revoke()[:80] + data + CA.revoke()[80:]))
def test_any_file_is_lists_or_a_line(data: bytes) -> None:
    try:
        ClientCas.read(CA.pem, data, unix())
    except RevocationListUnusable as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right
