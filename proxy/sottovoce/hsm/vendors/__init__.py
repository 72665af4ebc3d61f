"""What the pool knows of HSM vendors: their rows, PKCS#11 URIs, where PINs come from, security levels, templates.

Data and parsing; only `find_library` looks at the disk.  Nothing here loads a library.
"""

from sottovoce.hsm.vendors.checks import Claims, Finding, check_nodes
from sottovoce.hsm.vendors.errors import PinSourceInvalid, UriInvalid
from sottovoce.hsm.vendors.levels import SecurityLevel
from sottovoce.hsm.vendors.library import find_library
from sottovoce.hsm.vendors.pins import PinForm, PinPlace, PinRule, PinSource, fault_of_pin, parse_pin_source
from sottovoce.hsm.vendors.profile import DEFAULT_AT_ONCE, Fact, GcmNonce, Mark, Vendor, VendorProfile
from sottovoce.hsm.vendors.table import PROFILES, vendor_of_library
from sottovoce.hsm.vendors.templates import (
    TEMPLATES,
    HsmTemplate,
    Monitoring,
    Redundancy,
    TemplateName,
    template_text,
)
from sottovoce.hsm.vendors.uri import (
    ObjectType,
    Pkcs11Uri,
    TokenFacts,
    parse_token_uri,
    parse_uri,
    selects,
    uri_text,
)

__all__ = [
    "DEFAULT_AT_ONCE",
    "PROFILES",
    "TEMPLATES",
    "Claims",
    "Fact",
    "Finding",
    "GcmNonce",
    "HsmTemplate",
    "Mark",
    "Monitoring",
    "ObjectType",
    "PinForm",
    "PinPlace",
    "PinRule",
    "PinSource",
    "PinSourceInvalid",
    "Pkcs11Uri",
    "Redundancy",
    "SecurityLevel",
    "TemplateName",
    "TokenFacts",
    "UriInvalid",
    "Vendor",
    "VendorProfile",
    "check_nodes",
    "fault_of_pin",
    "find_library",
    "parse_pin_source",
    "parse_token_uri",
    "parse_uri",
    "selects",
    "template_text",
    "uri_text",
    "vendor_of_library",
]
