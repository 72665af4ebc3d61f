"""Routes to backends, and the adapters that speak to them.  The plaintext of a call leaves here."""

from sottovoce.relay.audiosocket import AudioSocketOptions
from sottovoce.relay.call import (
    CallEnd,
    CallSink,
    CallStart,
    CallStatistics,
    Leg,
    LegStatistics,
    Route,
    end_of,
)
from sottovoce.relay.config import MuxOptions, RawOptions, RouteConfig, SuiteName
from sottovoce.relay.errors import BackendDown, BackendFault, BackendMisbehaved, RouteMisconfigured
from sottovoce.relay.realtime import RealtimeOptions
from sottovoce.relay.route import build_route
from sottovoce.relay.twilio import TwilioOptions

__all__ = [
    "AudioSocketOptions",
    "BackendDown",
    "BackendFault",
    "BackendMisbehaved",
    "CallEnd",
    "CallSink",
    "CallStart",
    "CallStatistics",
    "Leg",
    "LegStatistics",
    "MuxOptions",
    "RawOptions",
    "RealtimeOptions",
    "Route",
    "RouteConfig",
    "RouteMisconfigured",
    "SuiteName",
    "TwilioOptions",
    "build_route",
    "end_of",
]
