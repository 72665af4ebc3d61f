# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# mypy: disable-error-code="import-not-found, misc"
"""A `FrameSerializer` for the `raw` contract: a Pipecat bot behind Sottovoce, with audio, keys, barge-in and messages.

Pipecat is too heavy for this project's own environment, so nothing here is imported by it (and its types are unknown
to our checkers); `make judges` puts it into `.venv/pipecat`, where a test runs it.  To copy from: docs/backend-raw.md
is all it knows of Sottovoce, docs.pipecat.ai all it knows of Pipecat.

| the contract                      | Pipecat                                                                    |
|-----------------------------------|----------------------------------------------------------------------------|
| audio: pcm16, pcmu, pcma          | `InputAudioRawFrame`, `OutputAudioRawFrame`; silence (DTX) is made audible  |
| `dtmf` from the client            | `InputDTMFFrame`                                                            |
| `clear`                           | `InterruptionFrame`                                                        |
| `json`                            | `InputTransportMessageFrame`, `OutputTransportMessage[Urgent]Frame`         |
| `start`, `mark`, `mute`, `stop`   | `InputTransportMessageFrame`, as they came                                  |
| `dtmf`, `mark` from the bot       | `OutputTransportMessage[Urgent]Frame` with the contract's own text          |
| `stop` from the bot               | `EndFrame`, `CancelFrame`                                                   |

The pipeline's rates must be the call's, since a serializer gives one message for one frame and so cannot cut audio to
the contract's frames: `PipelineParams(audio_in_sample_rate=…, audio_out_sample_rate=…)`, and
`audio_out_10ms_chunks=2` in the transport's parameters for frames of 20 ms.  What does not fit raises, which Pipecat
logs.  `OutputDTMFFrame` never comes here: Pipecat's transport makes a tone of it, longer than a frame.
"""

import json
from typing import Any

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.audio.utils import alaw_to_pcm, create_stream_resampler, pcm_to_alaw, pcm_to_ulaw, ulaw_to_pcm
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer

_KEYS = "0123456789*#"
_SAMPLE_BYTES = {"pcm16": 2, "pcmu": 1, "pcma": 1}


class CallDoesNotFit(Exception):
    """The call's codec or rate is not the pipeline's: the text says what to set."""


class RawFrameSerializer(FrameSerializer):
    """For one call at a time: each `start` begins another."""

    def __init__(self) -> None:
        """Wait for a `start`."""
        super().__init__()
        self.start: dict[str, Any] | None = None
        """What the proxy said of the call, None before."""
        self._rates = (0, 0)
        self._resampler = create_stream_resampler()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Learn the pipeline's rates."""
        self._rates = (setup.audio_in_sample_rate, setup.audio_out_sample_rate)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Give what the proxy said as a frame."""
        if isinstance(data, bytes):
            return None if self.start is None else await self._audio(data, self.start)
        message = json.loads(data)
        match message:
            case {"type": "start"}:
                self._begin(message)
                return InputTransportMessageFrame(message=message)
            case {"type": "dtmf", "event": event}:
                return InputDTMFFrame(button=KeypadEntry(_KEYS[event])) if event < len(_KEYS) else None
            case {"type": "json", "value": value}:
                return InputTransportMessageFrame(message=value)
            case _:
                return InputTransportMessageFrame(message=message)

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Give what the proxy is to hear of a frame."""
        if self.start is None:
            return None
        match frame:
            case OutputAudioRawFrame():
                return await self._frame(frame, self.start)
            case InterruptionFrame():
                return json.dumps({"type": "clear"})
            case OutputTransportMessageFrame() | OutputTransportMessageUrgentFrame():
                return None if self.should_ignore_frame(frame) else _text(frame.message)
            case EndFrame() | CancelFrame():
                self.start = None
                return json.dumps({"type": "stop"})
            case _:
                return None

    def _begin(self, start: dict[str, Any]) -> None:
        if start["codec"] not in _SAMPLE_BYTES or start["reply_codec"] not in _SAMPLE_BYTES:
            raise CallDoesNotFit(f"codec {start['codec']}: have clients call with pcm16, pcmu or pcma")
        if start["header"]:
            raise CallDoesNotFit("raw.header = true: remove it from the route, Pipecat has no place for it")
        if (start["rate"], start["reply_rate"]) != self._rates:
            wanted = f"audio_in_sample_rate={start['rate']}, audio_out_sample_rate={start['reply_rate']}"
            raise CallDoesNotFit(f"the pipeline has other rates than the call: PipelineParams({wanted})")
        self.start = start

    async def _audio(self, data: bytes, start: dict[str, Any]) -> Frame:
        rate = start["rate"]
        if not data:
            pcm = bytes(2 * rate * start["frame_ms"] // 1000)
        elif start["codec"] == "pcm16":
            pcm = data
        else:
            to_pcm = ulaw_to_pcm if start["codec"] == "pcmu" else alaw_to_pcm
            pcm = await to_pcm(data, rate, rate, self._resampler)
        return InputAudioRawFrame(audio=pcm, sample_rate=rate, num_channels=1)

    async def _frame(self, frame: OutputAudioRawFrame, start: dict[str, Any]) -> bytes:
        codec, rate, milliseconds = start["reply_codec"], start["reply_rate"], start["frame_ms"]
        if codec == "pcm16":
            data = frame.audio
        else:
            from_pcm = pcm_to_ulaw if codec == "pcmu" else pcm_to_alaw
            data = await from_pcm(frame.audio, rate, rate, self._resampler)
        if len(data) > _SAMPLE_BYTES[codec] * rate * milliseconds // 1000:
            raise CallDoesNotFit(f"longer than a frame: give the transport audio_out_10ms_chunks={milliseconds // 10}")
        return bytes(data)


def _text(message: dict[str, Any]) -> str:
    is_ours = message.get("type") in {"dtmf", "mark"}
    return json.dumps(message if is_ours else {"type": "json", "value": message})
