"""Why a backend counted as down (docs/backend-raw.md §9), as `backend.lost` names it."""

from collections.abc import Iterator

from sottovoce.app.explaining.entries import Entry, Kind
from sottovoce.relay import BackendFault

_TEXTS: dict[BackendFault, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    BackendFault.UNREACHABLE: (
        "No connection to the backend came about within the attempts, TLS included.",
        ("it does not run", "it listens on another host or port", "its TLS certificate is not accepted"),
        (
            "start it, or correct routes.NAME.url",
            "for wss://: give its CA as routes.NAME.ca_file",
            "Too many open files: sottovoce explain open_files",
        ),
    ),
    BackendFault.REFUSED: (
        "The backend answered, but did not take the call: no plain WebSocket upgrade, or over mux `refused`.",
        (
            "the path in routes.NAME.url is wrong",
            "it is an HTTP server",
            "it selected a subprotocol or an extension",
            "it has as many calls as it wants",
        ),
        (
            "correct the path of routes.NAME.url, and let the backend select no subprotocol and no extension",
            "over mux: the text beside the code is what it said",
        ),
    ),
    BackendFault.CLOSED: (
        "The backend closed its WebSocket without a stop message.",
        ("its program ended or crashed in mid-call", "it hangs up by closing instead of saying so"),
        ('send {"type": "stop"} before closing', "look into the backend's own log of that moment"),
    ),
    BackendFault.LOST: (
        "The connection to the backend broke, or nothing was acknowledged for silence_seconds.",
        ("the backend's machine or the network failed", "its program is stopped or hangs"),
        ("see whether it runs; routes.NAME.silence_seconds says how long is waited",),
    ),
    BackendFault.BAD_FRAMING: (
        "The backend's bytes are no WebSocket, or over mux no such frames, or a message is above 16 384 bytes.",
        (
            "audio of many frames in one message",
            "a program that writes to the socket itself",
            "routes.NAME.adapter is not what the backend speaks",
        ),
        ("send one frame a message, through a WebSocket library", "over mux: read docs/backend-mux.md §9"),
    ),
    BackendFault.BAD_TEXT: (
        "The backend sent a text that the contract does not know.",
        ("a slip in a type or a member", "texts in another vendor's dialect"),
        ("compare with docs/backend-raw.md §5 and §7; another dialect takes another adapter",),
    ),
    BackendFault.BAD_AUDIO: (
        "The backend sent a binary message that cannot be a frame of this call.",
        ("frames longer than frame_ms", "half a sample", "reply_codec was not looked at", "header missing or unwanted"),
        ("send frames as reply_codec, reply_rate and frame_ms of start say (docs/backend-raw.md §4)",),
    ),
    BackendFault.FLOOD: (
        "The backend sent more than the contract lets through.",
        (
            "more texts a second than the client can be told",
            "pings whose answers it does not read",
            "over mux, frames without credit",
        ),
        ("send at most 20 texts a second for long (docs/backend-raw.md §6), and read the answers to pings",),
    ),
    BackendFault.FAILED: (
        "The backend said that it failed: an error message of its own dialect.",
        ("a fault in its program", "it was asked for what it does not have", "its own service has a bad moment"),
        ("look into the backend's own log of that moment; the text beside the code is what it said",),
    ),
    BackendFault.STUCK: (
        "The backend does not read, or over mux grants no credit: 512 texts wait for it.",
        ("it works on audio in the task that should read", "its program hangs"),
        ("read in a task of its own, and let slow work wait elsewhere",),
    ),
}


def fault_entries() -> Iterator[Entry]:
    """Give the rows."""
    for fault, (meaning, causes, remedies) in _TEXTS.items():
        yield Entry(Kind.BACKEND, fault.value, None, meaning, causes, remedies)
