"""What there is to know of a vendor's PKCS#11 library, and how it is known.  Pure.

Each value is a `Fact`: marked `run` when this project's tests ran it, `read` when it only stands in the named source.
What was only read may be wrong or old; it serves to warn, never to refuse.
"""

from enum import StrEnum
from typing import Final, Generic, TypeVar, cast

import msgspec

from sottovoce.hsm.vendors.pins import PinRule

Value = TypeVar("Value")


class Vendor(StrEnum):
    """The vendors by name: those of the design paper, the two that run without hardware, and a successor."""

    SOFTHSM = "softhsm"
    NSS = "nss"
    THALES = "thales"
    SAFENET = "safenet"
    UTIMACO = "utimaco"
    AWS_CLOUDHSM = "aws_cloudhsm"
    AZURE_DEDICATED_HSM = "azure_dedicated_hsm"
    AZURE_CLOUD_HSM = "azure_cloud_hsm"
    YUBIHSM = "yubihsm"


class Mark(StrEnum):
    """How a fact is known."""

    RUN = "run"
    READ = "read"


class Fact(msgspec.Struct, Generic[Value], frozen=True):
    """A value with its proof: what was run, or what was read.  A value of None: the source does not tell it."""

    value: Value
    mark: Mark
    source: str


class GcmNonce(StrEnum):
    """Who makes the nonce of CKM_AES_GCM when something is encrypted."""

    OURS = "the caller's is used"
    TOKENS = "the token makes it"
    TOKENS_IN_FIPS_MODE = "the token makes it in its FIPS mode"
    NO_GCM = "there is no AES-GCM"


DEFAULT_AT_ONCE: Final = 4
"""Chosen, for a token that is a network away: with the session that stays open and the one for long work it takes six
of the 16 that the smallest known one has."""


class VendorProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor."""

    vendor: Vendor
    product: str
    libraries: Fact[tuple[str, ...]]
    """Where its PKCS#11 library lies, on Linux."""
    settings: Fact[str]
    """What tells the library where its device is: an environment variable or a file."""
    pin: Fact[PinRule]
    max_sessions: Fact[int | None]
    """How many sessions one application may have; 0: as many as it likes."""
    idle_seconds: Fact[int | None]
    """After how long without a call it drops a session; 0: never."""
    key_wrap: Fact[int | None]
    """The mechanism of AES key wrap (RFC 3394); 0: it has none."""
    key_wrap_padded: Fact[int | None]
    """The mechanism of AES key wrap with padding (RFC 5649); 0: it has none."""
    gcm_nonce: Fact[GcmNonce | None]
    is_software: bool = False
    """Whether it computes on this machine's processors."""
    uncertified: str = ""
    """Why no security level may be asserted for it; empty: one may."""
    quirks: tuple[Fact[str], ...] = ()

    @property
    def at_once(self) -> int:
        """How many calls it works at at a time: software does so on our own processors, others in a network."""
        return 1 if self.is_software else DEFAULT_AT_ONCE

    @property
    def mark(self) -> Mark:
        """Whether the library itself was run; what of the row was only read is marked so there."""
        return self.libraries.mark

    @property
    def facts(self) -> tuple[tuple[str, Fact[object]], ...]:
        """Every fact with the name of its field, the quirks last."""
        values = msgspec.structs.asdict(self).items()
        named = [(name, cast("Fact[object]", value)) for name, value in values if isinstance(value, Fact)]
        return (*named, *(("quirk", cast("Fact[object]", each)) for each in self.quirks))
