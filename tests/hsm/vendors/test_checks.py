"""What is said of a configuration's vendors and levels, and what a template asks of it."""

from collections.abc import Iterable

import pytest

from sottovoce.hsm.vendors import (
    PROFILES,
    TEMPLATES,
    Finding,
    HsmTemplate,
    Mark,
    SecurityLevel,
    Vendor,
    VendorProfile,
    check_nodes,
)

PRODUCTION, DEVELOPMENT = TEMPLATES["production"], TEMPLATES["development"]
LEVEL_3 = SecurityLevel.FIPS_140_3_LEVEL_3


class Node:
    """A token's configuration, as far as it is looked at."""

    def __init__(
        self, vendor: Vendor | None = Vendor.UTIMACO, level: SecurityLevel | None = None, certificate: str = ""
    ) -> None:
        self.profile: VendorProfile | None = PROFILES[vendor] if vendor else None
        self.security_level = level
        self.security_certificate = certificate


def check(*nodes: Node, quorum: int = 2, template: HsmTemplate | None = None) -> tuple[Finding, ...]:
    named = (
        {"": nodes[0]}
        if len(nodes) == 1
        else {f"nodes.{name}.": node for name, node in zip("abcde", nodes, strict=False)}
    )
    return check_nodes(named, quorum, template)


def refused(findings: Iterable[Finding]) -> list[str]:
    return [str(each) for each in findings if each.is_refused]


def warned(findings: Iterable[Finding]) -> list[str]:
    return [str(each) for each in findings if not each.is_refused]


def good() -> Node:
    return Node(level=LEVEL_3, certificate="4700")


def test_a_token_of_which_nothing_is_asserted_is_fine() -> None:
    assert check(Node(None)) == check(Node(Vendor.SOFTHSM)) == check(Node(Vendor.NSS)) == ()


def test_a_level_wants_its_certificates_number() -> None:
    assert refused(check(Node(level=LEVEL_3))) == [
        "security_certificate: is missing; write the number of the certificate that says so"
    ]
    assert refused(check(Node(level=LEVEL_3, certificate="about 4700"))) == [
        "security_certificate: is no number of a certificate of fips_140_3_level_3; write its number alone"
    ]
    assert refused(check(Node(certificate="4700"))) == [
        "security_certificate: is there without a level; add security_level, or remove it"
    ]
    assert check(good()) == ()


@pytest.mark.parametrize("level", SecurityLevel)
@pytest.mark.parametrize("certificate", ["", "4700"])
def test_softhsm_may_never_claim_a_level(level: SecurityLevel, certificate: str) -> None:
    assert refused(check(Node(Vendor.SOFTHSM, level, certificate))) == [
        "security_level: softhsm is software without a certificate; remove security_level and security_certificate"
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_fips_140_2_is_read_with_a_warning(number: int) -> None:
    findings = check(Node(level=SecurityLevel(f"fips_140_2_level_{number}"), certificate="3205"))
    assert not refused(findings)
    (line,) = warned(findings)
    assert line.startswith("security_level: FIPS 140-2 certificates are historical since 2026-09-21")
    assert line.endswith("; ask the vendor for a certificate of FIPS 140-3")


def test_keys_are_named_with_their_token() -> None:
    findings = check(good(), Node(level=LEVEL_3), Node(certificate="1"))
    assert [each.key for each in findings] == ["nodes.b.security_certificate", "nodes.c.security_certificate"]


def test_a_vendor_that_does_not_take_our_nonces_is_warned_of() -> None:
    said = {vendor: warned(check(Node(vendor))) for vendor in Vendor}
    assert {vendor for vendor, lines in said.items() if not lines} == {Vendor.SOFTHSM, Vendor.NSS, Vendor.UTIMACO}
    assert "vendor: yubihsm has no AES-GCM, by which seeds are sealed (only read: Yubico/" in said[Vendor.YUBIHSM][0]
    assert "vendor: aws_cloudhsm makes AES-GCM nonces itself" in said[Vendor.AWS_CLOUDHSM][0]
    assert "vendor: in FIPS mode thales makes AES-GCM nonces itself" in said[Vendor.THALES][0]
    assert "is not told" in said[Vendor.AZURE_CLOUD_HSM][0]


def test_what_was_only_read_never_refuses() -> None:
    for vendor, row in PROFILES.items():
        if row.mark is Mark.READ:
            assert not refused(check(Node(vendor))), vendor


def test_production_takes_three_certified_tokens_and_a_quorum_of_two() -> None:
    assert check(good(), good(), good(), template=PRODUCTION) == ()
    old = Node(level=SecurityLevel.FIPS_140_2_LEVEL_3, certificate="3205")
    assert not refused(check(old, good(), good(), template=PRODUCTION))


def test_production_refuses_fewer_tokens_and_a_smaller_quorum() -> None:
    assert refused(check(good(), template=PRODUCTION)) == [
        "nodes: there is one token, and the template wants 3; add sections [hsm.nodes.NAME], or choose another template"
    ]
    assert refused(check(good(), good(), template=PRODUCTION))[0].startswith("nodes: there are 2 tokens, ")
    assert refused(check(good(), good(), good(), quorum=1, template=PRODUCTION)) == [
        "quorum: is 1, and the template wants 2; write 2 or more"
    ]


def test_production_refuses_a_token_below_its_level() -> None:
    lower = Node(level=SecurityLevel.FIPS_140_3_LEVEL_2, certificate="4700")
    criteria = Node(level=SecurityLevel.COMMON_CRITERIA_EAL4, certificate="BSI-DSZ-CC-0990")
    findings = check(lower, criteria, Node(), Node(Vendor.SOFTHSM), Node(None), template=PRODUCTION)
    assert all(each.is_refused for each in findings)
    assert [(each.key, each.reason) for each in findings] == [
        (f"nodes.{name}.security_level", f"{what}, and the template wants {wanted}")
        for name, what, wanted in (
            ("a", "is fips_140_3_level_2", "fips_140_2_level_3 or more"),
            ("b", "is common_criteria_eal4", "fips_140_2_level_3 or more"),
            ("c", "none is asserted", "fips_140_2_level_3"),
            ("d", "softhsm has no level", "fips_140_2_level_3"),
            ("e", "none is asserted", "fips_140_2_level_3"),
        )
    ]


def test_development_takes_one_softhsm_and_only_warns_of_the_rest() -> None:
    assert check(Node(Vendor.SOFTHSM), quorum=1, template=DEVELOPMENT) == ()
    findings = check(Node(), quorum=0, template=DEVELOPMENT)
    assert not refused(findings)
    assert [each.key for each in findings] == ["quorum", "security_level"]
