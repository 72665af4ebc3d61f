"""The whole table, how a word is found in it, and the document made of it."""

from difflib import get_close_matches
from itertools import groupby
from typing import Final

from sottovoce.app.explaining.carriage import carriage_entries
from sottovoce.app.explaining.codes import code_entries
from sottovoce.app.explaining.entries import Entry, Kind
from sottovoce.app.explaining.faults import fault_entries
from sottovoce.app.explaining.happenings import happening_entries
from sottovoce.app.explaining.refusals import refusal_entries

_MAX_WORD = 64
_NEAR = 3

TABLE: Final[tuple[Entry, ...]] = tuple(
    sorted(
        (*code_entries(), *fault_entries(), *carriage_entries(), *refusal_entries(), *happening_entries()),
        key=lambda entry: list(Kind).index(entry.kind),
    )
)
"""Every row; sorted by kind, as the document has them."""

_WHERE: Final = {
    Kind.END: "The code with which a call ended: `docs/protocol.md` §10, and what WebSocket adds.  `sottovoce call` "
    "and the client's errors show it, `session.ended` and `session.refused` log it.",
    Kind.BACKEND: "Why a call ended as `backend_down`: the beginning of the reason of `backend.lost`; "
    "`docs/backend-raw.md` §9.",
    Kind.HTTP: "What a request got instead of a call; `upgrade.refused` logs it.",
    Kind.ALERT: "The number by which one end of TLS tells the other why it gives up (RFC 8446 §6).",
    Kind.TLS: "Why a TLS connection failed, as `tls.refused` and `doctor` name it.",
    Kind.CERTIFICATE: "What a client has against a server's TLS certificate.",
    Kind.REFUSAL: "Why a connection became no call: the beginning of the reason of `connection.refused`, and the label "
    "`reason` of `sottovoce_connection_refusals_total`.  The limits are of `[listener]`, or of `[listeners.NAME]`.",
    Kind.READY: "Why `GET /readyz` of the admin address says that new calls should go elsewhere.",
    Kind.EXIT: "How a command ended.",
    Kind.EVENT: "The `event` of a line of the log.",
}


def find(word: str) -> tuple[Entry, ...]:
    """Give the rows for a number or a name, however it is written; several things may have one name."""
    wanted = _plain(word)
    return tuple(entry for entry in TABLE if wanted in {_plain(entry.name), str(entry.number)})


def nearest(word: str) -> list[str]:
    """Give the names and numbers that are most like a word which is none."""
    wanted = _plain(word)
    if wanted.isascii() and wanted.isdigit():
        numbers = {entry.number for entry in TABLE if entry.number is not None}
        number = int(wanted)
        return [str(each) for each in sorted(numbers, key=lambda each: (abs(each - number), each))[:_NEAR]]
    names = {_plain(entry.name): entry.name for entry in TABLE}
    return [names[each] for each in get_close_matches(wanted, names, n=_NEAR, cutoff=0.5)]


def _plain(word: str) -> str:
    return word[:_MAX_WORD].strip().lower().replace("-", "_").replace(" ", "_").removeprefix("exit_")


def document() -> str:
    """Give docs/errors.md."""
    lines = [
        "# Codes, faults, statuses and events",
        "",
        "What each means, its usual causes, and what to do. `sottovoce explain CODE` prints one of them.",
        "This page is made of the same table by `make reference`; a test fails when it is not.",
    ]
    for kind, entries in groupby(TABLE, key=lambda entry: entry.kind):
        lines += ["", f"## {kind[0].upper()}{kind[1:]}", "", _WHERE[kind].replace("  ", " ")]
        for entry in entries:
            lines += ["", f"### {_heading(entry)}", "", entry.meaning.replace("  ", " "), ""]
            lines += [f"- cause: {_escaped(cause)}" for cause in entry.causes]
            lines += [f"- **{_escaped(remedy)}**" for remedy in entry.remedies]
    return "\n".join(lines) + "\n"


def _heading(entry: Entry) -> str:
    return f"`{entry.name}`" if entry.number is None else f"{entry.number} `{entry.name}`"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_").replace("*", r"\*")
