"""What is wrong, or to be known, with the tokens of a configuration: their vendors and levels, and a template.  Pure.

A `Finding` that refuses is for what cannot be so; one that warns is for what may be so, and for whatever hangs on a
fact that was only read.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from sottovoce.hsm.vendors.levels import SecurityLevel
from sottovoce.hsm.vendors.profile import GcmNonce, Mark, VendorProfile
from sottovoce.hsm.vendors.templates import HsmTemplate

_HISTORICAL = "FIPS 140-2 certificates are historical since 2026-09-21, which is no ground to buy a module any more"


class Finding(msgspec.Struct, frozen=True):
    """One thing about a configuration."""

    key: str
    """The key, counted from `[hsm]`, as in `nodes.a.security_level`."""
    reason: str
    remedy: str
    is_refused: bool = False

    def __str__(self) -> str:
        """Give one line."""
        return f"{self.key}: {self.reason}; {self.remedy}"


class Claims(Protocol):
    """What is looked at of a token's configuration."""

    @property
    def profile(self) -> VendorProfile | None:
        """Its vendor, where one is known."""
        ...

    @property
    def security_level(self) -> SecurityLevel | None:
        """The level that is asserted."""
        ...

    @property
    def security_certificate(self) -> str:
        """The number of the certificate that says so."""
        ...


def check_nodes(nodes: Mapping[str, Claims], quorum: int, template: HsmTemplate | None) -> tuple[Finding, ...]:
    """Look at all tokens, each under the prefix of its keys (`nodes.a.`, or none for the only one).

    `quorum` is on how many of them a new key has to be proved.
    """
    found: list[Finding] = []
    for prefix, node in nodes.items():
        found += _level(prefix, node)
        found += _vendor(prefix, node.profile)
    if template is not None:
        found += _template(nodes, quorum, template)
    return tuple(found)


def _level(prefix: str, node: Claims) -> Iterator[Finding]:
    """A level is asserted with a certificate, and not for software that has none."""
    level, certificate = node.security_level, node.security_certificate
    key, number = f"{prefix}security_level", f"{prefix}security_certificate"
    if level is None:
        if certificate:
            yield Finding(number, "is there without a level", "add security_level, or remove it", is_refused=True)
        return
    profile = node.profile
    if profile is not None and profile.uncertified:
        why = f"{profile.vendor} is {profile.uncertified}"
        yield Finding(key, why, "remove security_level and security_certificate", is_refused=True)
        return
    if not certificate:
        yield Finding(number, "is missing", "write the number of the certificate that says so", is_refused=True)
    elif not level.takes_number(certificate):
        yield Finding(number, f"is no number of a certificate of {level}", "write its number alone", is_refused=True)
    if level.is_historical:
        yield Finding(key, _HISTORICAL, "ask the vendor for a certificate of FIPS 140-3")


def _vendor(prefix: str, profile: VendorProfile | None) -> Iterator[Finding]:
    """Seeds and ticket keys are sealed by AES-GCM under nonces of ours, so a token must take them."""
    if profile is None:
        return
    nonce, key = profile.gcm_nonce, f"{prefix}vendor"
    source = "was run" if nonce.mark is Mark.RUN else f"only read: {nonce.source}"
    remedy = "try it before you rely on it"
    match nonce.value:
        case GcmNonce.OURS:
            return
        case GcmNonce.NO_GCM:
            what = f"{profile.vendor} has no AES-GCM, by which seeds are sealed ({source})"
        case GcmNonce.TOKENS:
            what = f"{profile.vendor} makes AES-GCM nonces itself, and seeds are sealed under ours ({source})"
        case GcmNonce.TOKENS_IN_FIPS_MODE:
            what = (
                f"in FIPS mode {profile.vendor} makes AES-GCM nonces itself, and seeds are sealed under ours ({source})"
            )
        case None:
            what = f"whether {profile.vendor} takes our AES-GCM nonces is not told ({source})"
    yield Finding(key, what, remedy)


def _template(nodes: Mapping[str, Claims], quorum: int, template: HsmTemplate) -> Iterator[Finding]:
    refused, wanted = template.is_enforced, template.redundancy
    if len(nodes) < wanted.min_nodes:
        what = f"there {_are(len(nodes))}, and the template wants {wanted.min_nodes}"
        yield Finding("nodes", what, "add sections [hsm.nodes.NAME], or choose another template", is_refused=refused)
    if quorum < wanted.quorum:
        what = f"is {quorum}, and the template wants {wanted.quorum}"
        yield Finding("quorum", what, f"write {wanted.quorum} or more", is_refused=refused)
    for prefix, node in nodes.items():
        yield from _wanted_level(prefix, node, template)


def _wanted_level(prefix: str, node: Claims, template: HsmTemplate) -> Iterator[Finding]:
    wanted, level, key = template.security_level, node.security_level, f"{prefix}security_level"
    if level is not None:
        if not level.meets(wanted):
            what = f"is {level}, and the template wants {wanted} or more"
            remedy = "use a token of that level, or choose another template"
            yield Finding(key, what, remedy, is_refused=template.is_enforced)
        return
    if node.profile is not None and node.profile.uncertified:
        if template.is_enforced:
            what = f"{node.profile.vendor} has no level, and the template wants {wanted}"
            remedy = "use a hardware module, or choose another template"
            yield Finding(key, what, remedy, is_refused=True)
        return
    what = f"none is asserted, and the template wants {wanted}"
    yield Finding(key, what, "write the token's level and its certificate's number", is_refused=template.is_enforced)


def _are(count: int) -> str:
    return "is one token" if count == 1 else f"are {count} tokens"
