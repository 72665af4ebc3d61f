"""`sottovoce demo`: the whole thing, once, shown."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import json_option, print_json, progress_bar, say_progress

if TYPE_CHECKING:
    from sottovoce.app.demo import Demonstration

_OUT = Path("demo-out/returned.wav")


@click.command("demo")
@json_option
def command(*, as_json: bool) -> int:
    """Make a token and certificates, start a backend and the proxy, call it with bundled speech, show what happened.

    Everything runs on this machine, in a temporary directory that is removed; only demo-out/returned.wav is kept.
    Exit 0 if the audio came back identical under changing keys, 1 if anything was otherwise.
    """
    from sottovoce.app.demo import demonstrate
    from sottovoce.cli.running import run_until_told

    shown = run_until_told(demonstrate, _OUT, say_progress, progress_bar())
    if as_json:
        _print_json(shown)
    else:
        _print_table(shown)
    return 0 if shown.is_ok else 1


def _print_json(shown: "Demonstration") -> None:
    done, figures = shown.replay, shown.replay.statistics
    print_json(
        "demo",
        {
            "ok": shown.is_ok,
            "tls_group": figures.tls_group,
            "suite": figures.suite,
            "server_signatures": figures.server_signatures,
            "epochs": figures.epochs,
            "generations": figures.generations,
            "frames_sent": done.frames_sent,
            "frames_returned": done.frames_returned,
            "frames_lost": done.frames_lost,
            "audio_identical": shown.audio_identical,
            "wav": str(shown.wav),
        },
    )


def _print_table(shown: "Demonstration") -> None:
    from rich.console import Console
    from rich.table import Table

    done, figures = shown.replay, shown.replay.statistics
    table = Table(title="Sealed between this client and localhost. The service behind it hears the audio.")
    table.add_column("what", no_wrap=True)
    table.add_column("measured", no_wrap=True)
    table.add_column("what it means")
    signatures = " + ".join(figures.server_signatures)
    rows = (
        ("TLS group", figures.tls_group or "-", "outer connection, post-quantum hybrid"),
        ("voice suite", figures.suite or "-", "the call's own key agreement and cipher, inside"),
        ("signed by", signatures, "P-384 inside SoftHSM; ML-DSA by a key only SoftHSM can unwrap"),
        (
            "epochs",
            str(figures.epochs),
            f"fresh key agreements during the call, re-signed {figures.reauthentications}×",
        ),
        ("generations", str(figures.generations), "keys this client sealed under"),
        ("roots signed", f"{shown.roots_signed} of {shown.batches_served}", "signatures of the HSM, batches served"),
        ("frames", f"{done.frames_sent} sent, {done.frames_returned} back", f"{done.frames_lost} lost"),
        (
            "latency",
            _latency(done.latency_ms(0.5), done.latency_ms(0.99)),
            "there and back, from a frame's due instant",
        ),
        ("audio", "identical" if shown.audio_identical else "DIFFERENT", str(shown.wav)),
    )
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    click.echo("demo: ok" if shown.is_ok else "demo: FAILED, see the table")


def _latency(median: float | None, p99: float | None) -> str:
    return "-" if median is None or p99 is None else f"p50 {median:.1f} ms, p99 {p99:.1f} ms"
