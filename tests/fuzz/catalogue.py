"""The fuzz targets by name: what each does with an input, where it starts from, and how long its inputs may be.

    python -m tests.fuzz run server_session --seconds 60        # under atheris
    python -m tests.fuzz replay server_session FILE…            # without

A family of small parsers is one target, so that all of them get their time in `make test`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tests.fuzz import adapters, callers, carriage, edge, files, insider, lossy, mux, parsers, seeds, talk, tls
from tests.fuzz.toy import toy_world
from tests.vector_report import VECTORS

FINDINGS = VECTORS / "fuzz"
"""One directory a target: inputs that once showed a fault, and `corpus.txt`."""


class Target(msgspec.Struct, frozen=True):
    """One target.  `fuzz` raises for an input that shows a fault, and for no other."""

    fuzz: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    max_bytes: int = 1_000


def _peaceful(data: bytes) -> None:
    """Two ends and a network that keeps its word: nobody fails but by the clock, and everything arrives."""
    with toy_world():
        talk.run_talk(data, hostile=False)


def _hostile(data: bytes) -> None:
    """Two ends and an adversary between them: they agree or fail, and never disagree."""
    with toy_world():
        talk.run_talk(data, hostile=True)


def fuzz_two_ends(data: bytes) -> None:
    """Both of these; the first byte says which."""
    (_hostile if data[:1] >= b"\x20" else _peaceful)(data[1:])


TARGETS = {
    "records": Target(parsers.fuzz_records_and_frames, seeds.of_records_and_frames, 20_000),
    "messages": Target(parsers.fuzz_messages, seeds.of_messages, 20_000),
    "certificate": Target(parsers.fuzz_certificate, seeds.of_certificates, 10_000),
    "json_files": Target(files.fuzz_json_files, seeds.of_json_files, 10_000),
    "configuration": Target(files.fuzz_configuration, seeds.of_configurations, 5_000),
    "binary_files": Target(files.fuzz_binary_files, seeds.of_binary_files, 5_000),
    "callers": Target(callers.fuzz_callers, callers.seeds, 5_000),
    "addresses": Target(carriage.fuzz_addresses, seeds.of_addresses, 500),
    "backend": Target(carriage.fuzz_backend, seeds.of_backend, 10_000),
    "audiosocket": Target(adapters.fuzz_audiosocket, adapters.audiosocket_seeds, 5_000),
    "realtime": Target(adapters.fuzz_realtime, adapters.realtime_seeds, 10_000),
    "mux": Target(mux.fuzz_mux, mux.seeds, 10_000),
    "websocket_server": Target(carriage.fuzz_websocket_server, seeds.of_websocket, 20_000),
    "websocket_client": Target(carriage.fuzz_websocket_client, seeds.of_websocket, 20_000),
    "tls_records": Target(tls.fuzz_tls_records, seeds.of_programmes, 500),
    "server_session": Target(insider.fuzz_server_session, seeds.of_insiders),
    "client_session": Target(insider.fuzz_client_session, seeds.of_insiders),
    "two_ends": Target(fuzz_two_ends, seeds.of_programmes),
    "lossy": Target(lossy.fuzz_lossy, seeds.of_programmes),
    "edge": Target(edge.fuzz_edge, seeds.of_programmes, 200),
}


def findings_of(name: str) -> list[Path]:
    """Inputs that once showed a fault of this target."""
    return sorted(path for path in (FINDINGS / name).glob("*.bin"))


def corpus_of(name: str) -> list[bytes]:
    """Inputs that together reach most of what this target has reached so far: one a line, in hexadecimal."""
    path = FINDINGS / name / "corpus.txt"
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []
