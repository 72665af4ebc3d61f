"""What goes wrong with the proxy's identity and its clients'.  Texts are one line: the thing and the remedy."""

from sottovoce.primitives import SottovoceError


class IdentityError(SottovoceError):
    """Root of what goes wrong with identities."""


class AnchorsUnusable(IdentityError):
    """The anchor file is missing or damaged, or it is not the one of this token."""


class VoiceCertificateRefused(IdentityError):
    """No voice certificate is made for what was asked."""


class ServingKeysUnusable(IdentityError):
    """The list of the nodes' serving keys is damaged, or it is not the one of this token."""


class ClientsUnusable(IdentityError):
    """One of the files that say who may call cannot be used; the text names it, the entry and the remedy.

    `key` is the field of `[clients]` that names the file.
    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class ClientRefused(IdentityError):
    """A change of the clients file is not made: the client is unknown, or not to be written like this."""
