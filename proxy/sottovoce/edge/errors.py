"""What keeps a listener from listening."""

import errno

from sottovoce.primitives import SottovoceError

_REMEDIES = {
    errno.EADDRINUSE: "another program listens there: choose another port, or end it",
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

    def name_holder(self, pid: int, program: str, *, is_proxy: bool) -> None:
        """Say who listens there; nobody is told to end another directory's proxy."""
        if is_proxy:
            who, or_else = f"pid {pid}, another sottovoce,", ""
        else:
            who, or_else = f"pid {pid} ({program})", f", or end it (kill {pid})"
        self.args = (f"{self._what}: {who} listens there: choose another port{or_else}",)
