"""What goes wrong with the proxy's identity and its clients'.  Texts are one line: the thing and the remedy."""

from sottovoce.primitives import SottovoceError


class IdentityError(SottovoceError):
    """Root of what goes wrong with identities."""


class AnchorsUnusable(IdentityError):
    """The anchor file is missing or damaged, or it is not the one of this token."""


class VoiceCertificateRefused(IdentityError):
    """No voice certificate is made for what was asked."""


class TokenFileInvalid(IdentityError):
    """The file of client tokens cannot be used; the text names the entry and the remedy."""
