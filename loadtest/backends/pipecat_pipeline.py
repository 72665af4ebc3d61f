# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false, reportUntypedFunctionDecorator=false
# pyright: reportUnknownParameterType=false
# mypy: disable-error-code="import-not-found, misc, untyped-decorator"
"""The pipeline of `pipecat_bot`, with Pipecat's own WebSocket transport; needs Pipecat to be imported."""

import sys

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    EndWorkerFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.websocket.server import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat.workers.runner import WorkerRunner

from loadtest.backends.pipecat_serializer import RawFrameSerializer

_OF_THE_CONTRACT = {"start", "mark", "mute", "stop"}


class Echo(FrameProcessor):
    """Stands where speech to text, a model and speech would."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer what was heard, pass the rest on."""
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame(audio=audio, sample_rate=rate, num_channels=channels):
                await self.push_frame(OutputAudioRawFrame(audio=audio, sample_rate=rate, num_channels=channels))
            case InputDTMFFrame(button=KeypadEntry.ZERO):
                await self.broadcast_frame(InterruptionFrame)
            case InputDTMFFrame(button=KeypadEntry.POUND):
                await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)
            case InputDTMFFrame(button=button):
                key = {"type": "dtmf", "event": int(button.value) if button.value.isdigit() else 10, "duration_ms": 160}
                await self.push_frame(OutputTransportMessageUrgentFrame(message=key))
            case InputTransportMessageFrame(message=message) if message.get("type") not in _OF_THE_CONTRACT:
                await self.push_frame(OutputTransportMessageUrgentFrame(message=message))
            case _:
                await self.push_frame(frame, direction)


async def serve(port: int, rate: int) -> None:
    """Serve until told to stop, or until a caller has pressed the hash key."""
    parameters = SingleClientWebsocketServerParams(
        serializer=RawFrameSerializer(),
        audio_in_enabled=True,
        audio_out_enabled=True,
        audio_out_10ms_chunks=2,
        audio_out_auto_silence=False,
        audio_out_end_silence_secs=0,
    )
    transport = SingleClientWebsocketServerTransport(parameters, "127.0.0.1", port)

    @transport.event_handler("on_websocket_ready")
    async def say_where(_: object) -> None:
        sys.stdout.write(f"ws://127.0.0.1:{port}/\n")
        sys.stdout.flush()

    pipeline = Pipeline([transport.input(), Echo(), transport.output()])
    rates = PipelineParams(audio_in_sample_rate=rate, audio_out_sample_rate=rate)
    worker = PipelineWorker(pipeline, params=rates, enable_rtvi=False, idle_timeout_secs=None)
    runner = WorkerRunner(handle_sigterm=True)
    await runner.add_workers(worker)
    await runner.run()
