"""What can go wrong in a backend, and whose fault it is."""

from sottovoce.primitives import SottovoceError


class CallOver(SottovoceError):
    """Something was to be sent in a call that has ended.  A handler may let it pass: it counts as a return."""


class CannotListen(SottovoceError):
    """The address cannot be listened on, or a file for TLS not be used.  The text names it and the remedy."""


class PeerMisbehaved(SottovoceError):
    """What connected does not keep to the contract, as docs/backend-raw.md has it: it is closed with 1008."""
