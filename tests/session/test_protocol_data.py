"""Protocol §9: data sessions, codec 0 in both directions."""

import pytest

from sottovoce.primitives import ApiMisuse
from sottovoce.session import Data, Established, ServerConfig
from sottovoce.wire import Code, Codec
from tests.session.dialogue import Pair, client_config, code_of, make_client, make_server
from tests.session.foreign_bytes import AUDIO, CLEAR, DATA, DTMF, MARK, MUTE, u
from tests.session.meeting import AtServer
from tests.session.meeting import code_of as code_at

OPAQUE = b"\0opaque\0" * 1000


def data_pair() -> Pair:
    client = make_client(client_config(send_codec=Codec.NONE, receive_codec=Codec.NONE, frame_milliseconds=0))
    return Pair(client, make_server(ServerConfig(codecs=(Codec.NONE,)))).run()


@pytest.mark.protocol("P9.18", "P9.24")
def test_data_both_ways_and_over_a_step() -> None:
    pair = data_pair()
    (established,) = (event for event in pair.server_events if isinstance(event, Established))
    assert (established.send_codec, established.frame_milliseconds) == (Codec.NONE, 0)
    for sender, heard in ((pair.client, pair.server_events), (pair.server, pair.client_events)):
        for payload in (OPAQUE[:8000], b"", b"\0"):
            assert sender.send_data(payload, pair.now)
            pair.run()
            assert heard[-1] == Data(payload)
    pair.step()
    assert pair.client.send_data(b"after", pair.now)
    pair.run()
    assert pair.server_events[-1] == Data(b"after")


@pytest.mark.protocol("P9.25", "P9.18")
@pytest.mark.parametrize(
    ("frame_type", "payload", "up"),
    [
        (AUDIO, b"\0x", True),
        (AUDIO, b"\0x", False),
        (AUDIO, b"\x10\0\0\0\0x", True),
        (DTMF, b"\1\0\1", True),
        (MARK, b"m", False),
        (CLEAR, b"", False),
        (MUTE, b"\1", True),
        (DATA, b"x" * 8001, True),
    ],
)
def test_frames_of_audio_sessions_are_refused(frame_type: int, payload: bytes, *, up: bool) -> None:
    pair = data_pair()
    sender, receiver = (pair.client, pair.server) if up else (pair.server, pair.client)
    chain = sender._sender
    assert chain is not None
    record = chain.seal(payload + u(frame_type, 1))
    assert code_of(receiver.receive(record, 0.0)) == Code.BAD_RECORD


@pytest.mark.protocol("P9.25")
def test_our_machines_refuse_to_send_them() -> None:
    pair = data_pair()
    for send in (
        lambda: pair.client.seal_audio(b"x", 0.0),
        lambda: pair.client.send_dtmf(1, 1, 0.0),
        lambda: pair.client.send_mute(0.0, muted=True),
        lambda: pair.server.send_mark("m", 0.0),
        lambda: pair.server.send_clear(0.0),
    ):
        with pytest.raises(ApiMisuse):
            send()
    assert pair.client.to_send() == pair.server.to_send() == []


@pytest.mark.protocol("P9.24")
@pytest.mark.parametrize("codecs", [(0, 3, 20), (3, 0, 0), (0, 3, 0), (0, 0, 20)])
def test_codec_0_in_one_direction_or_with_a_duration(codecs: tuple[int, int, int]) -> None:
    meeting = AtServer(established=False, codecs=(Codec.NONE, Codec.PCM16_16K), client={"codecs": codecs})
    meeting.until_flight()
    meeting.take(meeting.peer.flight())
    assert code_at(meeting) == Code.POLICY
