"""The tokens of a configuration: whose each is, where it is found, what its vendor's row claims.  Opens nothing."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from sottovoce.app.places import TokenPlaces, token_places
from sottovoce.hsm import ModuleUnusable
from sottovoce.hsm.vendors import Fact, PinRule, VendorProfile
from sottovoce.settings import find_file, load

Value = TypeVar("Value")

_NOT_TOLD = "not told"
_WORDS = {
    "pin": "PIN",
    "max_sessions": "sessions",
    "idle_seconds": "idle sessions",
    "key_wrap": "aes-kw",
    "key_wrap_padded": "aes-kwp",
    "gcm_nonce": "gcm nonce",
}
"""What of a row is a capability, and what it is called here and by `hsm test`."""


class Claim(msgspec.Struct, frozen=True):
    """One thing that a vendor's row claims, in words."""

    what: str
    value: str
    was_run: bool
    """Whether this project's tests ran it; else it was read only, in `source`."""
    source: str


class TokenListed(msgspec.Struct, frozen=True, kw_only=True):
    """A token of the configuration."""

    name: str
    section: str
    """The configuration's, as in `hsm` or `hsm.nodes.a`."""
    vendor: str | None
    """None: nothing is known of the one who made its library."""
    product: str
    library: str | None
    """Where the PKCS#11 library is; None: nowhere, and `trouble` says so."""
    token: str
    """The token's label."""
    uri: str
    pin: str
    """Where the PIN is, never the PIN."""
    security_level: str | None
    """What the operator asserts; nobody can check it."""
    security_certificate: str
    claims: tuple[Claim, ...]
    quirks: tuple[Claim, ...]
    trouble: str = ""


class TokensListed(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, in the configuration's order."""

    file: str
    tokens: tuple[TokenListed, ...]
    quorum: int
    """On how many of them a new key has to be proved."""
    template: str
    findings: tuple[str, ...]
    """What there is to say of vendors, levels and template, a line each."""


def list_tokens(directory: Path) -> TokensListed:
    """Look at a directory's configuration.  Raises ConfigurationInvalid."""
    file = find_file(directory)
    hsm = load(file).hsm
    return TokensListed(
        file=str(file),
        tokens=tuple(_listed(each) for each in token_places(hsm)),
        quorum=hsm.needed,
        template=hsm.template,
        findings=tuple(str(finding) for finding in hsm.findings),
    )


def claims_of(profile: VendorProfile) -> Iterator[Claim]:
    """Give what a vendor's row claims that a token can do, in words."""
    for name, fact in profile.facts:
        if name in _WORDS:
            yield _claim(_WORDS[name], fact, _worded(name, fact.value))


def _listed(places: TokenPlaces) -> TokenListed:
    config = places.config
    profile, library, trouble = config.profile, None, ""
    try:
        library = config.library
    except ModuleUnusable as error:
        trouble = str(error)
    if library is not None and not Path(library).is_file():
        library, trouble = None, f"{library} is not there: see {places.section}.module"
    return TokenListed(
        name=places.name,
        section=places.section,
        vendor=None if profile is None else str(profile.vendor),
        product="" if profile is None else profile.product,
        library=library,
        token=config.token,
        uri=config.uri,
        pin=str(config.pin),
        security_level=None if config.security_level is None else str(config.security_level),
        security_certificate=config.security_certificate,
        claims=() if profile is None else tuple(claims_of(profile)),
        quirks=() if profile is None else tuple(_claim("quirk", each, each.value) for each in profile.quirks),
        trouble=trouble,
    )


def _claim(what: str, fact: Fact[Value], value: str) -> Claim:
    return Claim(what, value, fact.mark == "run", fact.source)


def _worded(name: str, value: object) -> str:
    if value is None:
        return _NOT_TOLD
    match name, value:
        case "pin", PinRule(form, least, most):
            return f"{form} of {least} to {most} bytes"
        case "max_sessions", int(count):
            return f"at most {count}" if count else "no limit"
        case "idle_seconds", int(seconds):
            return f"dropped after {seconds} s" if seconds else "kept"
        case (("key_wrap" | "key_wrap_padded"), int(number)):
            return f"0x{number:04X}" if number else "none"
        case _, StrEnum():
            return str(value)
        case _:
            return str(value)
