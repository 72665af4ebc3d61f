"""From the host's name to the open WebSocket: each step by itself, so that the one that fails is named."""

import email.utils
import re
import socket
import time
from typing import Final

import msgspec
import trio

from sottovoce.app.doctor.certificates import day
from sottovoce.app.doctor.findings import Finding, fail, ok, warn
from sottovoce.app.doctor.remote.target import Remote
from sottovoce.client import CallError, ConnectFailed
from sottovoce.client.errors import dial_failure, dial_timeout, tls_failure, upgrade_failure
from sottovoce.edge import SUBPROTOCOL
from sottovoce.pki import CertificateSeen, describe_der
from sottovoce.transport import (
    ClientWebSocket,
    PqPolicy,
    TlsContext,
    TlsError,
    TlsStream,
    UpgradeAccepted,
    WsFailed,
    client_context,
)
from sottovoce.transport.probe import HandshakeSeen, handshake_seen, probing_context

STEP_SECONDS: Final = 10.0
_MAX_MESSAGE_BYTES: Final = 65_536
_SHOWN_ADDRESSES: Final = 4
_DATE: Final = re.compile(rb"\r\ndate:[ \t]*([^\r\n]{1,60})", re.IGNORECASE)
_OFF_SECONDS: Final = 300.0
"""As far as a voice certificate's dates may be from a client's clock."""
_SLIGHTLY_OFF_SECONDS: Final = 60.0
_SET_CLOCK: Final = "set the clock of whichever machine is wrong: timedatectl set-ntp true"


class Seen(msgspec.Struct):
    """What one step learned for the next."""

    host_addresses: tuple[str, ...] = ()
    handshake: HandshakeSeen | None = None
    clock_offset_seconds: float | None = None


def failing(name: str, error: CallError) -> Finding:
    """Take a client's error apart."""
    return fail(name, str(error).removesuffix(f"; {error.remedy}"), error.remedy)


async def look_up(remote: Remote, seen: Seen) -> list[Finding]:
    """Look the host's name up."""
    host = remote.address.host
    with trio.move_on_after(STEP_SECONDS):
        try:
            found = await trio.socket.getaddrinfo(host, remote.address.port, type=socket.SOCK_STREAM)
        except OSError as error:
            remedy = "check how the host is spelled, and this machine's resolver"
            return [fail("name", f"{host} leads to no address ({error.strerror or 'the resolver has none'})", remedy)]
        seen.host_addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
        shown = ", ".join(seen.host_addresses[:_SHOWN_ADDRESSES])
        return [ok("name", f"{host} leads to {shown}")]
    return [fail("name", f"the resolver gave no answer about {host}", "check this machine's resolver")]


async def connect_tcp(remote: Remote) -> list[Finding]:
    """Connect, and leave."""
    began = trio.current_time()
    try:
        await trio.aclose_forcefully(await _dial(remote))
    except CallError as error:
        return [failing("tcp", error)]
    return [ok("tcp", f"{remote.address} answers in {1000 * (trio.current_time() - began):.1f} ms")]


async def shake_hands(remote: Remote, seen: Seen) -> list[Finding]:
    """Look at TLS without judging the certificate."""
    began = trio.current_time()
    try:
        stream = await _secured(remote, probing_context(remote.address.host))
    except CallError as error:
        return [failing("tls", error)]
    took = 1000 * (trio.current_time() - began)
    handshake = seen.handshake = handshake_seen(stream.core)
    await trio.aclose_forcefully(stream)
    what = f"{handshake.version}, {handshake.group}, {handshake.cipher}, in {took:.0f} ms"
    if "MLKEM" in handshake.group.upper():
        return [ok("tls", f"{what}; post-quantum: yes")]
    remedy = "operator: set listener.pq to prefer or require; where it is, something on the way ends TLS"
    return [warn("tls", f"{what}; post-quantum: no", remedy)]


async def check_certificate(remote: Remote, seen: Seen, wall: float) -> list[Finding]:
    """Connect as a client does, who judges the certificate."""
    try:
        await trio.aclose_forcefully(await _secured(remote, _trusting(remote)))
    except CallError as error:
        return [failing("certificate", error)]
    leaf = describe_der(seen.handshake.chain[0]) if seen.handshake and seen.handshake.chain else None
    if leaf is None:
        return [ok("certificate", "accepted")]
    left = leaf.not_after - wall
    what = f"accepted, for {', '.join(leaf.names)}, until {day(leaf.not_after)}"
    if left < (leaf.not_after - leaf.not_before) / 6:
        remedy = "operator: look for leaf.renewal_failed in the log; it is renewed at two thirds of its life"
        return [warn("certificate", what, remedy)]
    return [ok("certificate", what)]


async def upgrade(remote: Remote, seen: Seen) -> list[Finding]:
    """Ask for the WebSocket and read the server's date."""
    return await _upgrade(remote, seen, _trusting(remote))


async def ask_for_upgrade(remote: Remote) -> list[Finding]:
    """Do the same without judging the certificate: what is learned is good for a look alone."""
    return await _upgrade(remote, Seen(), probing_context(remote.address.host))


async def _upgrade(remote: Remote, seen: Seen, context: TlsContext) -> list[Finding]:
    address = remote.address
    websocket = ClientWebSocket(
        address.authority, address.target, max_message_bytes=_MAX_MESSAGE_BYTES, subprotocol=SUBPROTOCOL
    )
    try:
        stream = await _secured(remote, context)
    except CallError as error:
        return [failing("upgrade", error)]
    try:
        with trio.move_on_after(STEP_SECONDS):
            return await _ask(stream, websocket, seen, str(address))
    except (trio.BrokenResourceError, TlsError):
        pass
    finally:
        await trio.aclose_forcefully(stream)
    return [
        fail("upgrade", f"{address} did not complete the HTTP upgrade", "check host and port, and that it runs well")
    ]


async def _ask(stream: TlsStream, websocket: ClientWebSocket, seen: Seen, address: str) -> list[Finding]:
    websocket.request()
    await stream.send_all(websocket.to_send())
    head = b""
    while data := bytes(await stream.receive_some()):
        head = (head + data)[:_MAX_MESSAGE_BYTES]
        seen.clock_offset_seconds = _offset(head, time.time())
        match websocket.receive(data):
            case [UpgradeAccepted(), *_]:
                return [ok("upgrade", f"it speaks {SUBPROTOCOL} on this route")]
            case [WsFailed(reason=reason, status=status), *_]:
                return [failing("upgrade", upgrade_failure(reason, status, address))]
            case _:
                pass
    return [failing("upgrade", upgrade_failure("the connection ended in place of an answer", None, address))]


def clock_findings(seen: Seen) -> list[Finding]:
    """Compare the clocks; HTTP's date is exact to a second."""
    offset = seen.clock_offset_seconds
    if offset is None:
        return [ok("clock", "the server does not tell its time")]
    what = f"this clock and the server's differ by {abs(offset):.0f} s"
    if abs(offset) > _OFF_SECONDS:
        return [fail("clock", what, _SET_CLOCK)]
    if abs(offset) > _SLIGHTLY_OFF_SECONDS:
        return [warn("clock", what, _SET_CLOCK)]
    return [ok("clock", what)]


def _offset(head: bytes, wall: float) -> float | None:
    found = _DATE.search(head)
    if found is None:
        return None
    try:
        return wall - email.utils.parsedate_to_datetime(found[1].decode("ascii", "replace")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


async def see_handshake(remote: Remote) -> tuple[HandshakeSeen, tuple[CertificateSeen, ...]]:
    """Connect, look at TLS and at what the server shows, and leave.  Raises CallError."""
    stream = await _secured(remote, probing_context(remote.address.host))
    handshake = handshake_seen(stream.core)
    await trio.aclose_forcefully(stream)
    return handshake, tuple(seen for each in handshake.chain if (seen := describe_der(each)) is not None)


def _trusting(remote: Remote) -> TlsContext:
    return client_context(remote.address.host, pq=PqPolicy.PREFER, ca_pem=remote.ca)


async def _dial(remote: Remote) -> trio.SocketStream:
    """Connect.  Raises CallError."""
    address = remote.address
    with trio.move_on_after(STEP_SECONDS):
        try:
            return await trio.open_tcp_stream(address.host, address.port)
        except OSError as error:
            raise dial_failure(error, str(address)) from None
    raise dial_timeout(str(address))


async def _secured(remote: Remote, context: TlsContext) -> TlsStream:
    """Connect and shake hands.  Raises CallError; nothing is left open then."""
    address = str(remote.address)
    raw = await _dial(remote)
    stream = TlsStream(raw, context)
    try:
        with trio.move_on_after(STEP_SECONDS):
            await stream.do_handshake()
            return stream
    except TlsError as error:
        await trio.aclose_forcefully(raw)
        raise tls_failure(error, address) from None
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(raw)
        raise dial_failure(OSError("the connection broke in the TLS handshake"), address) from None
    except BaseException:
        await trio.aclose_forcefully(raw)
        raise
    await trio.aclose_forcefully(raw)
    remedy = "check host and port: something that speaks no TLS may listen there"
    raise ConnectFailed(f"{address} did not complete the TLS handshake", remedy, may_pass=True)
