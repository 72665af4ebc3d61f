"""Ends of calls: the codes of docs/protocol.md §10, and the few of WebSocket's own that a person may see.

Causes and the operator's part stand here; the caller's remedies are the client's own.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sottovoce.app.explaining.entries import Entry, Kind
from sottovoce.client import ERRORS_BY_CODE
from sottovoce.wire import Code


class _Text(NamedTuple):
    meaning: str
    causes: tuple[str, ...]
    operator: str


_OUR_CODES: dict[Code, _Text] = {
    Code.NORMAL: _Text(
        "The call ended in good order: one side hung up, and both know it.",
        ("the caller hung up", "the backend said stop"),
        "nothing to do",
    ),
    Code.GOING_AWAY: _Text(
        "One side left, or had not been heard for too long; what was said last may be missing.",
        (
            "the caller's program ended, or its machine went to sleep or out of the network's reach",
            "a client that answers no pings (voice.heartbeat_seconds)",
        ),
        "look at side and reason of session.ended in the log; raise voice.heartbeat_seconds for clients that sleep",
    ),
    Code.BAD_RECORD: _Text(
        "A message broke the protocol's rules of syntax or order.",
        ("client and server of different versions", "a program of one's own with a mistake in it", "a text message"),
        "the reason is in session.ended or session.refused of the log; the rules are docs/protocol.md §2, §3 and §9",
    ),
    Code.AUTH_FAILED: _Text(
        "One side did not prove who it is.",
        (
            "a token, key or certificate that is unknown, withdrawn or expired",
            "an anchor.json of another proxy, or of before its anchor was replaced",
            "a clock that is wrong by more than five minutes",
            "something on the way that rewrites host or path",
        ),
        "sottovoce clients list DIR shows who may call; hand out certs/anchor.json of the proxy that runs",
    ),
    Code.POLICY: _Text(
        "The server knows what is asked for and does not allow it.",
        (
            "a codec or frame duration that the route does not take",
            "a route that is not for this identity (routes.NAME.identities)",
            "a call that is not bound to its TLS connection while voice.require_binding is true",
        ),
        "compare the reason in session.refused with the route's section of the configuration",
    ),
    Code.NO_COMMON_SUITE: _Text(
        "Client and server have no protocol version or suite of key agreement and cipher in common.",
        ("a client that offers classical suites to a server that takes hybrid ones only", "versions far apart"),
        "voice.suites and routes.NAME.suites say what is taken",
    ),
    Code.EXPIRED: _Text(
        "Something had its time: a handshake, an epoch's keys, a session or a credential.",
        (
            "a token or certificate of the caller's that ended in mid-call",
            "a call that has lasted a day",
            "keys that were not renewed in time, for the network or the token process was too slow",
        ),
        "look for signature.dropped and token.lost in the log: a slow HSM shows there",
    ),
    Code.REPLAY_OR_GAP: _Text(
        "A record came twice, too late, or one before it is missing.",
        ("a program on the way that repeats or drops messages", "two programs that write to one connection"),
        "the way between client and proxy must carry the TLS bytes as they are: layer 4 only",
    ),
    Code.DECRYPT_FAILED: _Text(
        "A sealed record did not open: it was changed, or sealed under other keys.",
        ("a fault in a client of one's own", "somebody who changes records on the way"),
        "if it happens with our own client over a plain network, report it",
    ),
    Code.REKEY_PROTOCOL: _Text(
        "The keys were renewed in a way that the protocol does not allow.",
        ("client and server of different versions", "a client of one's own with a mistake in it"),
        "the rules are docs/protocol.md §7",
    ),
    Code.ILLEGAL_SHARE: _Text(
        "A part of the key agreement is malformed or leads to nothing.",
        ("a fault in a cryptographic library", "somebody who tries what happens"),
        "update the client's cryptographic library",
    ),
    Code.TOO_LARGE: _Text(
        "More came at once than the protocol allows.",
        ("frames longer than frame_ms says", "a JSON message or metadata above 4 000 bytes"),
        "the limits are docs/protocol.md §2",
    ),
    Code.BINDING_MISMATCH: _Text(
        "The call is bound to another TLS connection than the one it came through.",
        ("a proxy or balancer on the way that ends TLS", "a firewall that inspects TLS"),
        "put balancers in TCP mode, with the PROXY protocol if addresses matter (listener.proxy_protocol_from)",
    ),
    Code.KEY_LIMIT: _Text(
        "A key was used as often as it may be and no new one came.",
        ("a client that sends on while it should renew its keys",),
        "raise it with whoever wrote the client",
    ),
    Code.RATE_LIMITED: _Text(
        "One side asked or sent too often.",
        (
            "more than 50 control messages a second",
            "many handshakes from one address or prefix (listener.max_handshakes_…)",
            "a client that does not read what is sent to it (voice.write_stall_seconds)",
        ),
        "raise the limits of [listener] where many callers share an address, as behind a balancer",
    ),
    Code.BACKEND_DOWN: _Text(
        "The service behind the proxy is not there, went away or broke its contract; the caller is told no more.",
        (
            "the backend does not run, or listens elsewhere than routes.NAME.url says",
            "it closed its WebSocket without a stop",
            "it sent what docs/backend-raw.md does not allow",
        ),
        "look for backend.lost in the log: its reason begins with the fault's name, and "
        "sottovoce explain explains each (unreachable, refused, closed, lost, flood, …)",
    ),
    Code.DRAINING: _Text(
        "The server is about to stop, or may not go on with this call, and sends it elsewhere.",
        ("somebody stopped or upgraded it: SIGTERM", "its HSM was sealed: hsm.sealed in its log"),
        "nothing to do; process.drain_seconds spreads the calls over time",
    ),
    Code.INTERNAL: _Text(
        "Something went wrong inside; it is nobody's fault but ours, or the machine's.",
        ("the HSM or its token process is down", "the audit log cannot be written", "a bug"),
        "look for token.lost, audit.failed and task.crashed in the log, and run sottovoce doctor DIR",
    ),
}

_OUTER_CODES = (
    Entry(
        Kind.END,
        "protocol_error",
        1002,
        "The WebSocket itself was used wrongly (RFC 6455).",
        ("a client that does not mask its frames, or a program that is no WebSocket client",),
        ("use a WebSocket library that follows RFC 6455",),
    ),
    Entry(
        Kind.END,
        "abnormal",
        1006,
        "The connection ended and nobody said why.  No peer sends this number: it stands for silence.",
        (
            "the network or a machine failed",
            "the proxy was killed",
            "something on the way cut an idle connection",
            "a client that broke a rule of TLS or WebSocket and was cut off: session.ended then has the side proxy",
        ),
        (
            "caller: what was said last may be missing: call again",
            "operator: look at side and reason of session.ended; sottovoce doctor wss://HOST/ROUTE looks from outside",
        ),
    ),
    Entry(
        Kind.END,
        "policy_violation",
        1008,
        "Said to a backend whose messages broke its contract (the caller hears 4450), and to a client that floods.",
        (
            "a text or audio message of a backend's that docs/backend-raw.md does not know",
            "a client that sends a thousand pings, or hundreds of fragments, and hardly a message between them",
        ),
        ("backend.lost in the log names a backend's fault: mend it; session.ended names a client's",),
    ),
    Entry(
        Kind.END,
        "message_too_big",
        1009,
        "A WebSocket message was larger than the protocol allows.",
        ("a client of one's own that puts several frames into one message",),
        ("send one frame a message; the limits are docs/protocol.md §2",),
    ),
)


def code_entries() -> Iterator[Entry]:
    """Give the rows."""
    for code, text in _OUR_CODES.items():
        yield Entry(Kind.END, code.label, int(code), text.meaning, text.causes, _remedies(code, text.operator))
    yield from _OUTER_CODES


def _remedies(code: Code, operator: str) -> tuple[str, ...]:
    """Put what the client tells its user before what the operator should do."""
    error = ERRORS_BY_CODE.get(code)
    if error is None:
        return (operator,)
    found, said = error.found_here[1], error.said_by_server[1]
    callers = [f"caller: {said}"] if found == said else [f"caller, told so: {said}", f"caller, who found it: {found}"]
    return (*callers, f"operator: {operator}")
