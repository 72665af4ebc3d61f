"""The data plane: what happens to a frame of audio between a client's socket and the backend's leg, and back.

Everything else of a call, its handshakes, its ratchet, its errands and its end, are tasks and machines above (`edge`)
and below (`session`); they lend the plane keys and hear of what it does not know.
"""

from sottovoce.plane.flow import Flow
from sottovoce.plane.loss import Loss, loss_of_tls, loss_of_websocket
from sottovoce.plane.plane import PortablePlane
from sottovoce.plane.queue import CROWD_CONTROLS, MAX_CONTROLS, AudioFrame, ClientQueue, Control
from sottovoce.plane.seam import MAX_REPLY_BYTES, CallFlow, Client, Ear, FlowStatistics, FlowUser, Plane

__all__ = [
    "CROWD_CONTROLS",
    "MAX_CONTROLS",
    "MAX_REPLY_BYTES",
    "AudioFrame",
    "CallFlow",
    "Client",
    "ClientQueue",
    "Control",
    "Ear",
    "Flow",
    "FlowStatistics",
    "FlowUser",
    "Loss",
    "Plane",
    "PortablePlane",
    "loss_of_tls",
    "loss_of_websocket",
]
