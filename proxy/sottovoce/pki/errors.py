"""What goes wrong with X.509 certificates.  Texts are one line: the thing and the remedy."""

from sottovoce.primitives import SottovoceError


class PkiError(SottovoceError):
    """Root of what goes wrong with certificates and their issuers."""


class LeafRefused(PkiError):
    """The issuer will not make the certificate that was asked for: the names or the key are not fit."""


class IssuerUnusable(PkiError):
    """The issuing CA's certificate is missing, unreadable, expired, or not that of the token's key."""


class LeafWrong(PkiError):
    """What the issuer answered is not the certificate that was asked for; it is not used."""


class ClientCaUnusable(PkiError):
    """The CAs of clients cannot be used; the text names the one and the remedy, and is to follow the file's name."""


class RevocationListUnusable(PkiError):
    """A list of revoked certificates cannot be used; the text likewise."""


class ClientKeyUnusable(PkiError):
    """What was given is no public key that a client may have; the text says which to give."""
