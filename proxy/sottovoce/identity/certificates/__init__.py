"""The voice certificates that the proxy serves under: of the anchor that is current, and of earlier ones."""

from sottovoce.identity.certificates.given import GivenCertificates
from sottovoce.identity.certificates.keeper import Certificates
from sottovoce.identity.certificates.sets import CertificateSets

__all__ = ["CertificateSets", "Certificates", "GivenCertificates"]
