"""Finding a vendor's PKCS#11 library on this machine."""

from pathlib import Path

from sottovoce.hsm.errors import ModuleUnusable
from sottovoce.hsm.softhsm import find_softhsm
from sottovoce.hsm.vendors.profile import Vendor
from sottovoce.hsm.vendors.table import PROFILES


def find_library(vendor: Vendor) -> str:
    """Give the path of a vendor's library.  Raises ModuleUnusable where none of its places has one."""
    if vendor is Vendor.SOFTHSM:
        return find_softhsm()
    places = PROFILES[vendor].libraries.value
    for place in places:
        if Path(place).exists():
            return place
    text = f"the library of {vendor} is not at {' or '.join(places)}: install it, or set hsm.module to where it is"
    raise ModuleUnusable(text)
