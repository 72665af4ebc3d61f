"""The scenes that were recorded.  One that stands here is not changed: its file is there, and stays."""

import hashlib
from collections.abc import Callable

import msgspec

from sottovoce.primitives import Secret, Suite
from sottovoce.session import (
    ClientTicket,
    Identity,
)
from sottovoce.wire import Codec
from tests.session.carriers import WEBTRANSPORT
from tests.session.dialogue import CARRIAGE, Box
from tests.session.keys import WALL, Ed25519Signer, anchor_keys, issue, other_serving_keys
from tests.session.tapes import Json, plain
from tests.vectors.transcripts.recorder import EPOCH, Recorder


def suite(which: Suite) -> Json:
    recorder = Recorder(f"suite {which.name}", client={"suites": (which,)}, server={"suites": (which,)})
    return recorder.carry().talk().step().talk().end()


def hello_retry() -> Json:
    hybrid, large = Suite.X25519MLKEM768_AES256GCM, Suite.SECP384R1MLKEM1024_AES256GCM
    recorder = Recorder("HelloRetry", client={"suites": (hybrid, large)}, server={"suites": (large,)})
    return recorder.carry().talk().step().talk().end()


def without_binding() -> Json:
    carriage = msgspec.structs.replace(CARRIAGE, binding_type=0, binding=b"")
    recorder = Recorder("no channel binding", carriage=carriage, server={"require_binding": False})
    return recorder.carry().talk().end("server")


def reauthentication(every: int) -> Json:
    recorder = Recorder(f"signed again every {every} steps", server={"reauthenticate_every": every}).carry()
    for _ in range(4):
        recorder.talk().step()
    return recorder.talk().end()


def replaced_certificate() -> Json:
    recorder = Recorder("the certificate is replaced during the session").carry().talk().step()
    recorder.keys = other_serving_keys()
    recorder.do("server", "serve", certificate=plain(issue(anchor_keys(), other_serving_keys(), serial=b"\x06" * 16)))
    return recorder.step().talk().step().end()


def asked_for_a_step() -> Json:
    recorder = Recorder("the server asks for a root step").carry().talk()
    recorder.now = 20.0
    recorder.do("server", "request_rekey")
    return recorder.carry().talk().end()


def padding(padding_class: int) -> Json:
    recorder = Recorder(f"padding class {padding_class}", server={"padding": padding_class}).carry()
    for length in (0, 1, 85, 86, 87, 126, 160, 320, 640, 966, 967, 1_299, 1_300, 8_000):
        recorder.say("client", b"\xa5" * length)
        recorder.say("server", b"\x5a" * length)
    return recorder.end()


def every_control_frame() -> Json:
    recorder = Recorder("every control frame, and audio with flags and timestamps").carry()
    for who in ("client", "server"):
        recorder.say(who, b"voice", flags=0x20, timestamp=0xFFFF_FFFE)
        recorder.say(who, b"", flags=0x40)
        recorder.send(who, "dtmf", 15, 65_535)
        recorder.send(who, "ping", bytes(range(8)))
        recorder.send(who, "json", b'{"a": [1, "\xc3\xa4", null]}')
        recorder.send(who, "cover", 100)
    recorder.send("server", "mark", "größe")
    recorder.send("client", "mark", "größe")
    recorder.send("server", "clear")
    recorder.send("client", "mute", muted=True)
    recorder.send("client", "mute", muted=False)
    return recorder.end("server", 4503)


def generations() -> Json:
    """More than sixteen of them, so that a generation's number comes again in the KID."""
    recorder = Recorder("generations of 16 records, past the sixteenth", server={"messages_per_key": 16, "padding": 0})
    return recorder.carry().talk(17 * 16 + 5, length=2).step().talk(20, length=2).end()


def data_session() -> Json:
    client = {"send_codec": Codec.NONE, "receive_codec": Codec.NONE, "frame_milliseconds": 0}
    recorder = Recorder("a data session", client=client, server={"codecs": (Codec.NONE,)}).carry()
    for payload in (b"opaque", b"", bytes(8_000)):
        recorder.send("client", "data", payload)
        recorder.send("server", "data", payload)
    return recorder.step().end()


def metadata_and_token() -> Json:
    recorder = Recorder(
        "a bearer token, metadata, an identity that ends",
        client={"metadata": b'{"language": "de"}'},
        credential={"kind": 1, "token": plain(b"a token of a client")},
        verdict=Identity("kiosk-7", WALL + 90.0, 1, "token:0123"),
    )
    recorder.carry().talk().step().talk()
    recorder.at(90.0)
    return recorder.script


def late_verdict() -> Json:
    credential = {"kind": 1, "token": plain(b"a token that takes time")}
    return Recorder("a verdict that takes its time", credential=credential, verdict=None).carry().talk().end()


def signing_key() -> Json:
    signer = Ed25519Signer(b"\x2a" * 32)
    recorder = Recorder(
        "a client's signing key",
        server={"credential_kinds": (2,)},
        credential={"kind": 2, "public_key": plain(signer.public_key)},
        signer=signer,
        verdict=None,
    )
    return recorder.carry().talk().end()


def outer_certificate() -> Json:
    der = b"a certificate, which the session itself does not read"
    shown = msgspec.structs.replace(CARRIAGE, peer_certificate=der)
    recorder = Recorder(
        "a client's certificate of the outer TLS",
        served_carriage=shown,
        server={"credential_kinds": (3,)},
        credential={"kind": 3, "certificate_sha256": plain(hashlib.sha256(der).digest())},
        verdict=None,
    )
    return recorder.carry().talk().end()


def _copy(ticket: ClientTicket) -> ClientTicket:
    """A session erases the ticket it is given."""
    return msgspec.structs.replace(ticket, psk=Secret("psk", bytes(ticket.psk.expose())))


def resumed() -> Json:
    box = Box()
    first = Recorder("the session before", tickets=box).carry()
    second = Recorder("a session that begins with a ticket", tickets=box, ticket=_copy(first.tickets[-1]), now=30.0)
    second.carry().talk().step().talk().step()
    return second.end()


def refused_ticket() -> Json:
    first = Recorder("the session before", tickets=Box()).carry()
    box = Box()
    second = Recorder("a ticket that the server does not know", tickets=box, ticket=_copy(first.tickets[-1]), now=30.0)
    return second.carry().talk().end()


def truncated() -> Json:
    recorder = Recorder("the connection ends, and nobody said why").carry().talk()
    for who in ("client", "server"):
        recorder.do(who, "carriage_ended")
    return recorder.script


def not_renewed() -> Json:
    recorder = Recorder("an epoch that is not renewed").carry().talk()
    recorder.now = EPOCH + 30.0
    recorder.do("server", "on_deadline")
    recorder.do("server", "to_send")
    recorder.now = EPOCH + 60.0
    recorder.do("client", "on_deadline")
    recorder.do("client", "to_send")
    return recorder.script


def attacked() -> Json:
    """What a changed record ends with, and that the other end is told."""
    recorder = Recorder("a record with a wrong tag").carry().talk()
    record = bytearray(recorder.do("client", "seal_audio", codec_bytes=plain(b"voice"), flags=0, timestamp=None))
    record[-1] ^= 1
    recorder.do("server", "receive", record=plain(record))
    recorder.carry()
    return recorder.script


def two_carriers() -> Json:
    """Datagrams in another order, twice, late; a root step in between; a ping as a datagram."""
    recorder = Recorder("two carriers", carriage=WEBTRANSPORT, server={"messages_per_key": 16}).carry()
    for _ in range(2):
        for who, other in (("client", "server"), ("server", "client")):
            given = {"flags": 0, "timestamp": None}
            made = [
                recorder.do(who, "seal_datagram", codec_bytes=plain(bytes([number]) * 40), **given)
                for number in range(40)
            ]
            for index in (*range(0, 40, 2), 4, *range(39, 30, -2), 4):
                recorder.do(other, "open_datagram", record=plain(made[index]))
                recorder.do(other, "events")
        recorder.do(
            "client", "send", what="ping", arguments=[{"bytes": plain(bytes(8))}], options={"as_datagram": True}
        )
        for datagram in recorder.do("client", "datagrams_to_send"):
            recorder.do("server", "open_datagram", record=plain(datagram))
        for datagram in recorder.do("server", "datagrams_to_send"):
            recorder.do("client", "open_datagram", record=plain(datagram))
            recorder.do("client", "events")
        recorder.step()
    return recorder.end()


def constant_rate() -> Json:
    """Padding class 2: a record of one size every 20 ms, whatever is said."""
    recorder = Recorder("padding class 2", server={"padding": 2, "messages_per_key": 16}).carry()
    for slot in range(1, 60):
        recorder.now = round(slot * 0.02, 6)
        for who in ("client", "server"):
            if slot % 3:
                given = {"codec_bytes": plain(bytes([slot]) * 640), "flags": 0, "timestamp": None}
                recorder.do(who, "send_audio", **given)
            recorder.do(who, "on_deadline")
        recorder.carry()
    return recorder.end()


SCENES: dict[str, Callable[[], Json]] = {
    **{f"suite-{int(each):04x}": (lambda each=each: suite(each)) for each in Suite},
    "hello-retry": hello_retry,
    "without-binding": without_binding,
    **{f"reauthenticate-{every}": (lambda every=every: reauthentication(every)) for every in (0, 1, 2)},
    "replaced-certificate": replaced_certificate,
    "asked-for-a-step": asked_for_a_step,
    "padding-0": lambda: padding(0),
    "padding-1": lambda: padding(1),
    "every-control-frame": every_control_frame,
    "generations": generations,
    "data-session": data_session,
    "metadata-and-token": metadata_and_token,
    "late-verdict": late_verdict,
    "signing-key": signing_key,
    "outer-certificate": outer_certificate,
    "resumed": resumed,
    "refused-ticket": refused_ticket,
    "truncated": truncated,
    "not-renewed": not_renewed,
    "attacked": attacked,
    "two-carriers": two_carriers,
    "padding-2": constant_rate,
}
