"""What keeps a listener from listening."""

import errno

from sottovoce.primitives import SottovoceError

_REMEDIES = {
    errno.EADDRINUSE: "another program listens there: end it, or choose another port",
    errno.EACCES: "ports below 1024 need a privilege: choose a higher one, or grant CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose 127.0.0.1, 0.0.0.0 or one of its own",
}


class AddressUnusable(SottovoceError):
    """A listener's address cannot be had."""

    def __init__(self, name: str, address: str, error: OSError) -> None:
        """Name the listener, the address and the remedy."""
        self.address = address
        self.is_taken = error.errno == errno.EADDRINUSE
        self._what = f"{name}.address: cannot listen on {address} ({error.strerror})"
        remedy = _REMEDIES.get(error.errno or 0, "choose another address")
        super().__init__(f"{self._what}: {remedy}")

    def name_holder(self, pid: int, program: str) -> None:
        """Say who listens there."""
        self.args = (f"{self._what}: pid {pid} ({program}) listens there: end it (kill {pid}), or choose another port",)
