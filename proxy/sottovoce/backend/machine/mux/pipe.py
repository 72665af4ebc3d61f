"""Bytes of a connection, in TLS where that is wanted.  No input or output, no clock."""

from sottovoce.backend.errors import PeerMisbehaved
from sottovoce.transport import TlsContext, TlsCore, TlsError


class Pipe:
    """Plain bytes inside, the network's outside."""

    def __init__(self, context: TlsContext | None) -> None:
        self._tls = None if context is None else TlsCore(context)
        self._waiting = b""
        self._is_closed = False

    @property
    def is_ended(self) -> bool:
        """Whether the peer has said, in TLS, that no more will come."""
        return self._tls is not None and self._tls.closed_by_peer

    def open(self, data: bytes) -> bytes:
        """Take bytes of the network.  Raises PeerMisbehaved for what is not TLS."""
        if self._tls is None:
            return data
        try:
            return self._tls.receive(data)
        except TlsError as error:
            raise PeerMisbehaved(f"TLS: {error}") from None

    def seal(self, data: bytes) -> bytes:
        """Give the bytes that the network should carry for `data`, and whatever TLS has to say by itself."""
        if self._tls is None:
            return data
        data = self._waiting + data
        if data and self._tls.handshake_complete and self._tls.failure is None:
            self._tls.send(data)
            data = b""
        self._waiting = data
        return self._tls.to_send()

    def end(self) -> bytes:
        """Give the last bytes."""
        if self._tls is None or self._is_closed:
            return b""
        self._is_closed = True
        self._tls.close()
        data = self._tls.to_send()
        self._tls.release()
        return data
