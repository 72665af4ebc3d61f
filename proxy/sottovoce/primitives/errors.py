"""The root of every error in Sottovoce, and the few that cryptographic primitives raise."""


class SottovoceError(Exception):
    """Root of all errors raised on purpose.  Its text is fit to be shown and never holds a secret."""


class ApiMisuse(SottovoceError):
    """Our own code called something out of order or with impossible arguments: a bug, not a peer's fault."""


class IllegalShare(SottovoceError):
    """A key share or encapsulation is malformed, invalid, or leads to an all-zero secret (protocol §3)."""


class OpenFailed(SottovoceError):
    """An AEAD tag did not verify.  Says nothing more, on purpose."""


class KeyRefused(SottovoceError):
    """A key cannot be used.  The text follows its name, or its file's: what is wrong, then the remedy."""


def one_line(text: str, *, max_characters: int = 120) -> str:
    """Make somebody else's words fit for a message or a log: short, printable, one line."""
    return "".join(char if char.isprintable() else "?" for char in text[:max_characters])
