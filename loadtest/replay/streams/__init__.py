"""The kinds of session that a run is made of."""

from loadtest.replay.streams.opaque import OpaqueAddress, OpaqueStream
from loadtest.replay.streams.stream import NUMBER_BYTES, Endpoint, Stream
from loadtest.replay.streams.voice import VoiceStream

__all__ = ["NUMBER_BYTES", "Endpoint", "OpaqueAddress", "OpaqueStream", "Stream", "VoiceStream"]
