"""What calls and demonstrations may come to, for tests of how it is told."""

from pathlib import Path

from sottovoce.app.demo import Demonstration
from sottovoce.app.replay import Replay
from sottovoce.app.wav import Recording
from sottovoce.client import Ended, Statistics


def replayed(**otherwise: object) -> Replay:
    """A call that went well, but for what is given."""
    fields: dict[str, object] = {
        "statistics": Statistics(epochs=3, tls_group="X25519MLKEM768", server_signatures=("ECDSA_P384", "MLDSA65")),
        "ended": Ended(1000, "", truncated=False, local=True),
        "returned": Recording(b"", 16_000),
        "frames_sent": 300,
        "frames_returned": 300,
        "frames_lost": 0,
        "latencies_ms": (1.0, 2.0),
        "late_ms": 0.0,
    }
    return Replay(**(fields | otherwise))  # type: ignore[arg-type]


def shown(**otherwise: object) -> Demonstration:
    """A demonstration that went well, but for what is given; what it does not know is its call's."""
    fields: dict[str, object] = {"audio_identical": True, "batches_served": 4, "roots_signed": 4, "wav": Path("x.wav")}
    own = {name: otherwise.pop(name, value) for name, value in fields.items()}
    return Demonstration(replay=replayed(**otherwise), **own)  # type: ignore[arg-type]
