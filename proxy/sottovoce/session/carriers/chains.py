"""The chains of one epoch at one side, over one carrier or two (protocol §5).

A WebSocket's records, and datagrams, have the base keys `c2s` and `s2c`; the control stream beside datagrams has its
own, so that a record of one carrier never opens on the other.
"""

from typing import NamedTuple

import msgspec

from sottovoce.primitives import Secret, Suite
from sottovoce.session.handshake import EpochSecrets
from sottovoce.session.ratchet import ReceiveChain, SendChain


class EpochChains(msgspec.Struct):
    """`sender` and `receiver` are the ordered carrier's; the two for datagrams are None where there are none."""

    sender: SendChain
    receiver: ReceiveChain
    datagram_sender: SendChain | None = None
    datagram_base: Secret | None = None
    """What `LossyChain` opens datagrams of this epoch with; it takes it over, and wipes it."""

    def wipe(self) -> None:
        """Erase the chains."""
        self.sender.wipe()
        self.receiver.wipe()
        if self.datagram_sender is not None:
            self.datagram_sender.wipe()


class FrameKeys(NamedTuple):
    """What a session lends to a data plane (`plane`), so that plain audio passes without it.

    The chains stay the session's: it wipes them, and seals control frames under the same one.
    """

    receiver: ReceiveChain
    open_until: float
    """Seconds of the session's clock; from then on records go through the session, which has expired."""
    sender: SendChain
    seal_until: float
    """Likewise; from then on frames wait for the next epoch."""
    is_padded: bool
    """Whether frames are padded to the buckets of protocol §9."""


def chains_of(
    secrets: EpochSecrets, epoch: int, suite: Suite, messages_per_key: int, *, is_client: bool
) -> EpochChains:
    """Make the chains of a side, which take over the base keys in `secrets`: for two carriers if those have two."""
    into, out = secrets.client_to_server, secrets.server_to_client
    control_into, control_out = secrets.control_client_to_server, secrets.control_server_to_client
    if is_client:
        into, out = out, into
        control_into, control_out = control_out, control_into
    if not control_into:
        return EpochChains(
            SendChain(out, epoch, suite, messages_per_key), ReceiveChain(into, epoch, suite, messages_per_key)
        )
    return EpochChains(
        SendChain(control_out, epoch, suite, messages_per_key),
        ReceiveChain(control_into, epoch, suite, messages_per_key),
        SendChain(out, epoch, suite, messages_per_key),
        into,
    )
