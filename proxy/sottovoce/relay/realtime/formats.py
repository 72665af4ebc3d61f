"""How a call's audio is said in a session's format, each direction for itself.  Pure.

Linear samples are resampled to the session's rate.  G.711 may be left as it is where the server knows it, which all of
OpenAI's do: then nothing is converted at all.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from sottovoce.relay import g711
from sottovoce.relay.realtime.options import RealtimeOptions
from sottovoce.relay.realtime.resample import Resampler
from sottovoce.wire import Codec

Convert = Callable[[bytes], bytes]

_TO_LINEAR: Final[dict[Codec, Convert]] = {
    Codec.PCMU_8K: g711.mulaw_to_pcm16,
    Codec.PCMA_8K: g711.alaw_to_pcm16,
    Codec.PCM16_8K: bytes,
    Codec.PCM16_16K: bytes,
    Codec.PCM16_24K: bytes,
    Codec.PCM16_48K: bytes,
}
_FROM_LINEAR: Final[dict[Codec, Convert]] = {
    Codec.PCMU_8K: g711.pcm16_to_mulaw,
    Codec.PCMA_8K: g711.pcm16_to_alaw,
}
_G711: Final = {Codec.PCMU_8K: ("audio/pcmu", "g711_ulaw"), Codec.PCMA_8K: ("audio/pcma", "g711_alaw")}
"""Their names, GA and beta."""
CODECS: Final = frozenset(_TO_LINEAR)
"""What linear samples can be made of, and made into."""


class Format(NamedTuple):
    """One direction's audio as the server has it."""

    ga: dict[str, object]
    """`audio.input.format`, `audio.output.format`."""
    beta: str
    """`input_audio_format`, `output_audio_format`."""
    bytes_per_second: int
    bytes_per_sample: int
    convert: Convert
    """Of a caller's codec into this, or of this into what a caller hears."""


def format_to_server(codec: Codec, options: RealtimeOptions, frame_milliseconds: int) -> Format:
    """Give the format that the server hears; converting nothing gives silence that lasts a frame."""
    silence = bytes(2 * codec.sample_rate * frame_milliseconds // 1000)
    if options.g711 and codec in _G711:
        silence = _FROM_LINEAR[codec](silence)
        return _as_it_is(codec, lambda codec_bytes: codec_bytes or silence)
    resampler, to_linear = Resampler(codec.sample_rate, options.rate), _TO_LINEAR[codec]
    return _linear(options, lambda codec_bytes: resampler.convert(to_linear(codec_bytes) or silence))


def format_to_client(codec: Codec, options: RealtimeOptions) -> Format:
    """Give the format that the server speaks."""
    if options.g711 and codec in _G711:
        return _as_it_is(codec, bytes)
    resampler, from_linear = Resampler(options.rate, codec.sample_rate), _FROM_LINEAR.get(codec, bytes)
    return _linear(options, lambda pcm16: from_linear(resampler.convert(pcm16)))


def with_formats(
    session: dict[str, object], options: RealtimeOptions, heard: Format, said: Format
) -> dict[str, object]:
    """Put the formats, of what the server hears and of what it says, into a session that `session_of` has checked."""
    if options.dialect == "beta":
        return session | {"input_audio_format": heard.beta, "output_audio_format": said.beta}
    audio = _object(session, "audio")
    for direction, form in (("input", heard), ("output", said)):
        audio |= {direction: _object(audio, direction) | {"format": form.ga}}
    return session | {"audio": audio}


def _object(within: dict[str, object], name: str) -> dict[str, object]:
    found = within.get(name)
    return dict(found) if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]  `session_of` has seen to it


def _linear(options: RealtimeOptions, convert: Convert) -> Format:
    return Format({"type": "audio/pcm", "rate": options.rate}, "pcm16", 2 * options.rate, 2, convert)


def _as_it_is(codec: Codec, convert: Convert) -> Format:
    ga, beta = _G711[codec]
    return Format({"type": ga}, beta, codec.sample_rate, 1, convert)
