"""How much a backend may send.  Pure.

Control messages draw on the bucket that protocol §9 gives to frames of their types: 50 a second, burst 250.  More would
have the client end the call as `rate_limited`, so the leg ends it first, as the backend's fault.  Audio may run ahead
of real time, as speech synthesis does, by `AUDIO_AHEAD_SECONDS`; what is beyond costs a decode and is dropped before it
is sealed, so that a backend that never stops sending costs others nothing.
"""

from sottovoce.session import TokenBucket

CONTROLS_PER_SECOND = 50.0
CONTROL_BURST = 250.0
AUDIO_AHEAD_SECONDS = 60.0
AUDIO_SPEED = 2.0
"""How fast the allowance for audio comes back, in seconds of audio a second."""
DATA_PER_SECOND = 1000.0
DATA_BURST = 60_000.0
"""For data sessions, whose frames last no time."""


def control_bucket(now: float) -> TokenBucket:
    """The bucket of protocol §9 for dtmf, json, mark and clear together."""
    return TokenBucket(CONTROLS_PER_SECOND, CONTROL_BURST, now)


def audio_bucket(frame_milliseconds: int, now: float) -> TokenBucket:
    """The allowance for frames of so many milliseconds; 0 in a data session."""
    if not frame_milliseconds:
        return TokenBucket(DATA_PER_SECOND, DATA_BURST, now)
    per_second = 1000 / frame_milliseconds
    return TokenBucket(AUDIO_SPEED * per_second, AUDIO_AHEAD_SECONDS * per_second, now)
