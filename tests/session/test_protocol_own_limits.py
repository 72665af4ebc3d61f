"""Protocol §9, the sender's side: our machines say nothing that a peer would refuse, and not more than it takes."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sottovoce.primitives import ApiMisuse, PublicKey, Secret, SignatureAlgorithm
from sottovoce.session import BINDING_NONE, BINDING_TLS_EXPORTER, Carriage, Credential, Mark, ServerConfig
from sottovoce.session.talk.meter import TokenBucket
from sottovoce.wire import (
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_SECOND,
    MAX_STALL_SECONDS,
    MAX_TOKEN_BYTES,
    SENT_CONTROL_FRAMES_BURST,
    SENT_CONTROL_FRAMES_PER_SECOND,
    Codec,
)
from tests.session.dialogue import Credentials, Pair, client_config, make_client, make_server, talking
from tests.session.keys import Ed25519Signer
from tests.session.meeting import AtClient, AtServer

Send = Callable[[Any], object]


def _for_both(*sends: Send) -> list[Any]:
    return [pytest.param(role, send) for role in (AtServer, AtClient) for send in sends]


@pytest.mark.protocol("P9.5", "P9.6", "P9.9", "P9.10", "P9.12", "P9.13", "P9.15", "P9.18", "P9.26", "P2.19")
@pytest.mark.parametrize(
    ("role", "send"),
    [
        *_for_both(
            lambda ours: ours.send_dtmf(16, 100, 0.0),
            lambda ours: ours.send_dtmf(-1, 100, 0.0),
            lambda ours: ours.send_dtmf(1, 65_536, 0.0),
            lambda ours: ours.send_ping(b"1", 0.0),
            lambda ours: ours.send_json(b"[]", 0.0),
            lambda ours: ours.send_json(b'{"a":"' + b"x" * 4000 + b'"}', 0.0),
            lambda ours: ours.send_mark("é" * 33, 0.0),
            lambda ours: ours.send_mark("\ud800", 0.0),
            lambda ours: ours.send_cover(8_192, 0.0),
            lambda ours: ours.send_cover(-1, 0.0),
            lambda ours: ours.send_data(b"x", 0.0),
            lambda ours: ours.send_data(b"x" * 8_001, 0.0),
            lambda ours: ours.seal_audio(b"x" * 9000, 0.0),
            lambda ours: ours.seal_audio(b"x", 0.0, flags=0x80),
            lambda ours: ours.seal_audio(b"x", 0.0, flags=0x10),
            lambda ours: ours.seal_audio(b"x", 0.0, flags=0x10, timestamp=1),
            lambda ours: ours.seal_audio(b"x", 0.0, timestamp=2**32),
            lambda ours: ours.seal_audio(b"x", 0.0, timestamp=-1),
            lambda ours: ours.close(65_536, 0.0),
            lambda ours: ours.close(-1, 0.0),
        ),
    ],
)
def test_our_machines_do_not_send_what_a_peer_would_refuse(role: type[AtServer] | type[AtClient], send: Send) -> None:
    ours = role().ours
    with pytest.raises(ApiMisuse):
        send(ours)
    assert ours.to_send() == []
    assert ours.is_open


@pytest.mark.protocol("P9.20")
def test_our_own_machines_spend_less_than_the_other_end_takes() -> None:
    """And say so; nothing is lost on the way, and echoes cost nothing."""
    pair = talking()
    for turn in range(10):
        pair.at(2.0 * turn)
        assert sum(pair.server.send_mark("m", pair.now) for _ in range(400)) == SENT_CONTROL_FRAMES_BURST
        pair.run()
    assert pair.client_events.count(Mark("m")) == 400
    assert pair.client.is_open
    assert sum(pair.client.send_mark("m", pair.now) for _ in range(1000)) == 400 + SENT_CONTROL_FRAMES_BURST
    pair.run()
    assert pair.server.is_open


@pytest.mark.protocol("P9.20", "P7.18", "P7.19")
@pytest.mark.parametrize("up", [True, False])
def test_a_steps_own_ping_finds_a_token_after_a_burst_of_control_frames(*, up: bool) -> None:
    """The application may spend what it is given; the ping that a switch needs is not the frame too many."""
    pair = talking()
    due = pair.client.next_deadline()
    assert due is not None
    pair.at(due)
    sender = pair.client if up else pair.server
    while sender.send_json(b"{}", due):
        pass
    pair.tick(due)
    assert pair.client.epoch == pair.server.epoch == 2
    assert pair.client.is_open
    assert pair.server.is_open


@pytest.mark.protocol("P9.20")
@pytest.mark.parametrize("stall_seconds", [0.5, 2.0, MAX_STALL_SECONDS])
def test_a_network_that_stalls_makes_no_flood_of_an_honest_sender(stall_seconds: float) -> None:
    """The receiver counts when frames arrive; a sender keeps so far below that a stall of some seconds does no harm."""
    pair = talking()
    held: list[bytes] = []
    for turn in range(int(stall_seconds * 50)):
        pair.at(turn / 50)
        while pair.server.send_mark("m", pair.now):
            pass
        held += pair.server.to_send()
    pair.at(stall_seconds)
    for record in held:
        pair.to_client(record)
    assert pair.client.is_open
    assert len(held) >= SENT_CONTROL_FRAMES_BURST + (stall_seconds - 0.1) * SENT_CONTROL_FRAMES_PER_SECOND


@given(
    pauses=st.lists(st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0, 3.0, 20.0]), max_size=600),
    stalls=st.lists(st.floats(0, MAX_STALL_SECONDS), min_size=1, max_size=5),
)
def test_no_stall_up_to_the_limit_is_a_flood_whenever_it_comes(pauses: list[float], stalls: list[float]) -> None:
    """A sender that spends all it may, a step's ping a second, and a network that holds frames back in order."""
    now, ping_at, last = 0.0, 0.0, 0.0
    sender = TokenBucket(SENT_CONTROL_FRAMES_PER_SECOND, SENT_CONTROL_FRAMES_BURST, now)
    receiver = TokenBucket(CONTROL_FRAMES_PER_SECOND, CONTROL_FRAMES_BURST, now)
    for number, pause in enumerate(pauses):
        now += pause
        count = int(now >= ping_at)
        ping_at = now + 1.0 if count else ping_at
        while sender.take(now):
            count += 1
        last = max(last, now + stalls[number % len(stalls)])
        assert all(receiver.take(last) for _ in range(count))


def test_a_bucket_does_not_fill_when_the_clock_seems_to_go_back() -> None:
    bucket = TokenBucket(1, 3, 100.0)
    assert bucket.take(100.0)
    assert bucket.take(99.5)
    assert bucket.take(100.0)
    assert not bucket.take(100.0)
    assert bucket.take(101.0)


class _Useless:
    """A signer whose key is of small order."""

    public_key = PublicKey(SignatureAlgorithm.ED25519, bytes(32))

    def sign(self, message: bytes) -> bytes:
        return bytes(64)


BAD_FOR_CLIENT: list[dict[str, Any]] = [
    {"suites": ()},
    {"anchors": ()},
    {"frame_milliseconds": 30},
    {"frame_milliseconds": 0},
    {"send_codec": Codec.NONE, "frame_milliseconds": 0},
    {"send_codec": Codec.NONE, "receive_codec": Codec.NONE},
    {"metadata": b"[]"},
    {"metadata": b'{"a":"' + b"x" * 4089 + b'"}'},
    {"credential": Credential(0, Secret("token", b"t"))},
    {"credential": Credential(1)},
    {"credential": Credential(1, Secret("token", b""))},
    {"credential": Credential(1, Secret("token", b"x" * (MAX_TOKEN_BYTES + 1)))},
    {"credential": Credential(2, Secret("token", b"x"))},
    {"credential": Credential(2)},
    {"credential": Credential(4)},
    {"credential": Credential(1, Secret("token", b"x"), signer=Ed25519Signer(b"k" * 32))},
    {"credential": Credential(1, Secret("token", b"x"), certificate_sha256=bytes(32))},
    {"credential": Credential(2, signer=_Useless())},
    {"credential": Credential(3)},
    {"credential": Credential(3, certificate_sha256=bytes(31))},
]


@pytest.mark.protocol("P3.18", "P3.19", "P3.20", "P9.23")
@pytest.mark.parametrize("changes", BAD_FOR_CLIENT)
def test_a_client_that_would_be_refused_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ApiMisuse):
        make_client(client_config(**changes))


@pytest.mark.protocol("P4.19")
def test_an_outer_certificate_is_not_named_on_a_carriage_without_a_binding() -> None:
    with pytest.raises(ApiMisuse):
        make_client(
            client_config(credential=Credential(3, certificate_sha256=bytes(32))),
            Carriage(BINDING_NONE, b"", b"host", b"/"),
        )


@pytest.mark.protocol("P3.20")
def test_the_longest_token_fits() -> None:
    token = b"x" * MAX_TOKEN_BYTES
    config = client_config(credential=Credential(1, Secret("token", token)), metadata=b'{"a":"' + b"x" * 4088 + b'"}')
    credentials = Credentials()
    server = make_server(ServerConfig(credential_kinds=(1,)), credentials=credentials)
    assert Pair(make_client(config), server).run().client.is_open
    assert credentials.asked[0][1] == token


BAD_FOR_SERVER: list[dict[str, Any]] = [
    {"suites": ()},
    {"codecs": ()},
    {"epoch_seconds": 1},
    {"epoch_seconds": 3601},
    {"messages_per_key": 15},
    {"messages_per_key": 65_537},
    {"padding": 3},
    {"reauthenticate_every": 256},
    {"reauthenticate_every": -1},
    {"credential_kinds": (0, 4)},
]


@pytest.mark.protocol("P3.7", "P3.8", "P3.9", "P3.10")
@pytest.mark.parametrize("changes", BAD_FOR_SERVER)
def test_a_server_that_would_be_refused_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ApiMisuse):
        make_server(ServerConfig(**changes))


@pytest.mark.protocol("P4.1", "P4.6")
@pytest.mark.parametrize(
    "carriage",
    [
        Carriage(BINDING_NONE, b"x", b"host", b"/"),
        Carriage(BINDING_TLS_EXPORTER, b"x" * 31, b"host", b"/"),
        Carriage(2, b"", b"host", b"/", has_datagrams=True),
        Carriage(2, b"x" * 31, b"host", b"/", has_datagrams=True),
        Carriage(2, b"x" * 32, b"host", b"/"),
        Carriage(3, b"x" * 32, b"host", b"/", has_datagrams=True),
        Carriage(-1, b"", b"host", b"/"),
        Carriage(BINDING_NONE, b"", b"h" * 65_536, b"/"),
        Carriage(BINDING_NONE, b"", b"host", b"/" * 65_536),
    ],
)
def test_a_carriage_that_no_prologue_can_tell(carriage: Carriage) -> None:
    with pytest.raises(ApiMisuse):
        make_client(carriage=carriage)
    with pytest.raises(ApiMisuse):
        make_server(carriage=carriage)
