"""Security levels that an operator asserts for a token.  Pure.

The proxy cannot prove one: a PKCS#11 library says what it likes.  So a level is what the operator asserts, with the
number of the certificate that says so, and is shown as asserted.
"""

import re
from enum import StrEnum
from typing import Final

_is_cmvp_number = re.compile(r"[0-9]{1,5}").fullmatch
_is_other_number = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{0,62}[A-Za-z0-9])?").fullmatch
_level_of = re.compile(r"(fips_140_[23])_level_([1-4])").fullmatch
_HISTORICAL: Final = "fips_140_2"


class SecurityLevel(StrEnum):
    """The levels by name: those of the design paper, and FIPS 140-3, which followed FIPS 140-2."""

    FIPS_140_2_LEVEL_1 = "fips_140_2_level_1"
    FIPS_140_2_LEVEL_2 = "fips_140_2_level_2"
    FIPS_140_2_LEVEL_3 = "fips_140_2_level_3"
    FIPS_140_2_LEVEL_4 = "fips_140_2_level_4"
    FIPS_140_3_LEVEL_1 = "fips_140_3_level_1"
    FIPS_140_3_LEVEL_2 = "fips_140_3_level_2"
    FIPS_140_3_LEVEL_3 = "fips_140_3_level_3"
    FIPS_140_3_LEVEL_4 = "fips_140_3_level_4"
    COMMON_CRITERIA_EAL4 = "common_criteria_eal4"

    @property
    def fips_level(self) -> int | None:
        """The number of a FIPS 140 level, None for another standard's."""
        found = _level_of(self)
        return int(found[2]) if found else None

    @property
    def is_historical(self) -> bool:
        """Whether its certificates were moved to the historical list.

        CMVP moved every FIPS 140-2 certificate that was left there on 2026-09-21: for what is in use already, not for
        new procurement.
        """
        return self.startswith(_HISTORICAL)

    def meets(self, wanted: "SecurityLevel") -> bool:
        """Tell whether this level is at least another.  FIPS 140-2 and 140-3 count alike, level by level.

        Levels of different standards do not compare.
        """
        if self.fips_level is None or wanted.fips_level is None:
            return self is wanted
        return self.fips_level >= wanted.fips_level

    def takes_number(self, certificate: str) -> bool:
        """Tell whether a text can be the number of such a certificate: CMVP's have up to five digits."""
        fits = _is_other_number if self.fips_level is None else _is_cmvp_number
        return fits(certificate) is not None
