"""Runs one fuzz target by hand or under atheris; see `tests.fuzz.catalogue`.

run NAME [--seconds N] [--runs N] [--seed N] [--corpus DIR] [--findings DIR]    fuzz; keeps what it finds
replay NAME FILE…                                         hand these inputs to the target, without atheris
keep NAME DIR [--limit N]                                 rewrite the target's corpus.txt from a corpus of `run`
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

_UNIT_SECONDS = 20
_MEMORY_MEGABYTES = 1_024
_INSTRUMENTED = ["sottovoce", "websockets", "wave"]
_OURS = "/sottovoce/"


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("name")
    run.add_argument("--seconds", type=int, default=60)
    run.add_argument("--runs", type=int, default=-1, help="-1: as many as there is time for")
    run.add_argument("--seed", type=int, default=0, help="0: another way each time")
    run.add_argument("--corpus", type=Path)
    run.add_argument("--findings", type=Path, default=Path.cwd())
    replay = commands.add_parser("replay")
    replay.add_argument("name")
    replay.add_argument("files", type=Path, nargs="+")
    keep = commands.add_parser("keep")
    keep.add_argument("name")
    keep.add_argument("corpus", type=Path, nargs="*")
    return parser.parse_args(words)


def _run(arguments: argparse.Namespace) -> None:
    """Fuzz until the time is up; ends the process.  Whoever started it reads libFuzzer's last lines."""
    import atheris  # noqa: PLC0415  there is none on some machines

    fuzzer: Any = atheris  # its names come from an extension module

    with fuzzer.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz.catalogue import TARGETS, corpus_of, findings_of  # noqa: PLC0415  instrumented
    target = TARGETS[arguments.name]
    corpus = arguments.corpus or Path(tempfile.mkdtemp(prefix="sottovoce-corpus-"))
    corpus.mkdir(parents=True, exist_ok=True)
    known = [*target.seeds(), *corpus_of(arguments.name), *(path.read_bytes() for path in findings_of(arguments.name))]
    for number, seed in enumerate(known):
        (corpus / f"seed-{number:04}").write_bytes(seed[: target.max_bytes])
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-runs={arguments.runs}",
        f"-seed={arguments.seed}",
        f"-max_len={target.max_bytes}",
        f"-timeout={_UNIT_SECONDS}",
        f"-rss_limit_mb={_MEMORY_MEGABYTES}",
        f"-artifact_prefix={arguments.findings}/",
        "-print_final_stats=1",
    ]
    fuzzer.Setup([sys.argv[0], *options, str(corpus)], target.fuzz)
    fuzzer.Fuzz()


def _replay(arguments: argparse.Namespace) -> None:
    from tests.fuzz.catalogue import TARGETS  # noqa: PLC0415  `run` must instrument first

    for path in arguments.files:
        TARGETS[arguments.name].fuzz(path.read_bytes())


def _keep(arguments: argparse.Namespace) -> None:
    """Keep of a corpus, the shortest first, each input that takes a step in our code which none before it took."""
    from tests.fuzz.catalogue import FINDINGS, TARGETS, corpus_of  # noqa: PLC0415  likewise

    target = TARGETS[arguments.name]
    inputs = {path.read_bytes() for place in arguments.corpus for path in place.iterdir()} | {
        *corpus_of(arguments.name)
    }
    for seed in (b"", *target.seeds()):
        target.fuzz(seed[: target.max_bytes])  # what is made once and kept is made now
    seen = set().union(*(_steps(target.fuzz, seed[: target.max_bytes]) for seed in target.seeds()))
    kept: list[str] = []
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        taken = _steps(target.fuzz, data)
        if not taken <= seen:
            seen |= taken
            kept.append(data.hex())
    (FINDINGS / arguments.name).mkdir(parents=True, exist_ok=True)
    (FINDINGS / arguments.name / "corpus.txt").write_text("\n".join(kept) + "\n")
    sys.stderr.write(f"{arguments.name}: {len(kept)} of {len(inputs)} inputs, {len(seen)} steps\n")


def _steps(fuzz: Callable[[bytes], None], data: bytes) -> set[tuple[str, int, int]]:
    """The steps from line to line that an input takes in our code."""
    steps: set[tuple[str, int, int]] = set()

    def trace(frame: FrameType, _event: str, _argument: object) -> Any:
        name = frame.f_code.co_filename
        if _OURS not in name:
            return None
        before = frame.f_lineno

        def follow(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal before
            if event == "line":
                steps.add((name, before, frame.f_lineno))
                before = frame.f_lineno
            return follow

        return follow

    sys.settrace(trace)
    try:
        fuzz(data)
    finally:
        sys.settrace(None)
    return steps


def main() -> None:
    """Do what the command line says."""
    arguments = _arguments(sys.argv[1:])
    commands: dict[str, Callable[[argparse.Namespace], None]] = {"run": _run, "replay": _replay, "keep": _keep}
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
