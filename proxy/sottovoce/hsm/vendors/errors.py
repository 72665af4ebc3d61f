"""What an operator can write wrong about a token.

Both are also ValueErrors: a configuration that is being read turns them into a problem with its place.  Texts have the
form `what is wrong; what to write`, and repeat no value: it may be, or hold, a PIN.
"""

from sottovoce.primitives import SottovoceError


class UriInvalid(SottovoceError, ValueError):
    """It is no PKCS#11 URI, or one that names something else than a token."""


class PinSourceInvalid(SottovoceError, ValueError):
    """It does not say where a PIN comes from."""
