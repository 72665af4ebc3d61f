"""`sottovoce call`: one call with a recording, and a summary of it."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sottovoce.cli.output import any_path, json_option, print_json, progress_bar, say

if TYPE_CHECKING:
    from sottovoce.app.replay import Replay
    from sottovoce.client import ConnectOptions
    from sottovoce.session import Anchor

_STDIN = Path("/dev/stdin")


@click.command("call")
@click.argument("url")
@click.argument("wav", required=False, type=any_path, metavar="[IN.wav]")
@click.option("--tone", is_flag=True, help="Send a tone of five seconds instead of a file.")
@click.option("--out", type=any_path, help="Keep what comes back in this WAV file.")
@click.option("--dir", "directory", type=any_path, help="Find anchor and CA in this directory.")
@click.option("--anchor", type=any_path, help="The anchor file that the server's operator gave you.")
@click.option("--ca", type=any_path, help="PEM CA certificates for TLS; without it, the system's.")
@click.option("--token", "--token-file", "token", type=any_path, help="A file with the bearer token; - is stdin.")
@click.option("--key", type=any_path, help="A PEM file with this client's private key.")
@click.option("--cert", type=any_path, help="A PEM file with this client's certificate and what issued it.")
@click.option("--cert-key", type=any_path, help="The private key of --cert.")
@click.option("--frame-ms", type=click.Choice(["10", "20", "40", "60"]), default="20", show_default=True)
@click.option("--no-echo", is_flag=True, help="The backend answers by itself: do not count what does not come back.")
@click.option("--reconnect", is_flag=True, help="Call again, with the rest, when the server drains or the call breaks.")
@json_option
def command(  # noqa: PLR0913, PLR0917  a command's options
    url: str,
    wav: Path | None,
    out: Path | None,
    directory: Path | None,
    anchor: Path | None,
    ca: Path | None,
    token: Path | None,
    key: Path | None,
    cert: Path | None,
    cert_key: Path | None,
    frame_ms: str,
    *,
    tone: bool,
    no_echo: bool,
    reconnect: bool,
    as_json: bool,
) -> int:
    """Call URL (wss://HOST:PORT/ROUTE), send IN.wav, and say how it went.

    Where the server wants to know who calls, give one of --token, --key, and --cert with --cert-key.

    IN.wav is 16-bit PCM, mono, at 8, 16, 24 or 48 kHz.  Exit 0: authenticated, ended in good order, nothing lost;
    1: refused, cut off or lossy, with the reason; 2: usage.
    """
    if tone is (wav is not None):
        raise click.UsageError("give IN.wav or --tone")
    if (directory is None) is (anchor is None):
        raise click.UsageError("give --dir DIR (made by sottovoce init), or --anchor FILE")
    if sum(each is not None for each in (token, key, cert or cert_key)) > 1 or (cert is None) is not (cert_key is None):
        raise click.UsageError("give one of --token, --key, and --cert with --cert-key")
    from sottovoce.app.replay import replay, replay_over
    from sottovoce.app.wav import make_tone, read_wav, refuse_unwritable, write_wav
    from sottovoce.cli.running import run_until_told
    from sottovoce.client import calls, connect

    recording = make_tone() if wav is None else read_wav(wav)
    if out is not None:
        refuse_unwritable(out)
    trust = _trust(directory, anchor, ca)

    options: ConnectOptions = {
        "anchor": trust.anchors,
        "ca": trust.ca,
        "token": _STDIN if token == Path("-") else token,
        "key": key,
        "certificate": cert,
        "certificate_key": cert_key,
        "codec": recording.codec,
        "frame_ms": int(frame_ms),
    }
    milliseconds, echo, progress = int(frame_ms), not no_echo, progress_bar()

    async def run() -> "Replay":
        if reconnect:
            legs = calls(url, **options)
            return await replay_over(legs, recording, frame_ms=milliseconds, echo=echo, progress=progress)
        async with connect(url, **options) as call:
            return await replay(call, recording, frame_ms=milliseconds, echo=echo, progress=progress)

    done = run_until_told(run)
    if out is not None:
        write_wav(out, done.returned)
    return _report(done, as_json=as_json)


class _Trust(NamedTuple):
    anchors: "Path | tuple[Anchor, ...]"
    ca: Path | bytes | None


def _trust(directory: Path | None, anchor: Path | None, ca: Path | None) -> _Trust:
    """Find whom to believe: in a directory of `sottovoce init`, or in the files that were named."""
    if anchor is not None:
        return _Trust(anchor, ca)
    from sottovoce.client import trust_from_directory

    found = trust_from_directory(directory or ".")
    return _Trust(found.anchors, ca or found.ca)


def _report(done: "Replay", *, as_json: bool) -> int:
    why = _fault(done)
    if as_json:
        print_json("call", {"ok": why is None, "error": why, **summary(done)})
    else:
        for name, value in _lines(done):
            click.echo(f"  {name:<10} {value}")
        if why is not None:
            say(f"sottovoce: {why}")
    return 0 if why is None else 1


def summary(done: "Replay") -> dict[str, object]:
    """Give a call's figures for a program."""
    figures = done.statistics
    return {
        "session": figures.session_id,
        "tls_ms": figures.tls_ms,
        "voice_ms": figures.voice_ms,
        "tls_group": figures.tls_group,
        "suite": figures.suite,
        "server_signatures": figures.server_signatures,
        "epochs": figures.epochs,
        "generations": figures.generations,
        "resumed": figures.is_resumed,
        "reconnects": len(done.lost_calls),
        "resumptions": done.resumptions,
        "lost_calls": done.lost_calls,
        "frames_sent": done.frames_sent,
        "frames_returned": done.frames_returned,
        "frames_lost": done.frames_lost,
        "latency_ms": {
            "p50": done.latency_ms(0.5),
            "p90": done.latency_ms(0.9),
            "p99": done.latency_ms(0.99),
            "max": done.latency_ms(1),
        },
        "sender_late_ms": done.late_ms,
        "backend_silent_seconds": done.silent_seconds,
        "ended": None if done.ended is None else {"code": done.ended.code, "name": done.ended.label},
    }


def _fault(done: "Replay") -> str | None:
    if done.ended is None or done.ended.truncated:
        return "the call was cut off: what came back may be incomplete"
    if done.frames_lost and done.lost_calls:
        calls = _counted(len(done.lost_calls), "time")
        return (
            f"{done.frames_lost} of {done.frames_sent} frames did not come back, as the call was lost {calls}: "
            + "; ".join(dict.fromkeys(done.lost_calls))
        )
    if (silence := _silence(done)) is not None and done.frames_lost and not done.frames_returned:
        return f"{silence} (--no-echo if nothing should come)"
    if done.frames_lost:
        return f"{done.frames_lost} of {done.frames_sent} frames did not come back (--no-echo if none should)"
    return None


def _silence(done: "Replay") -> str | None:
    """Say that the backend said nothing, or not for long."""
    if done.silent_seconds is None:
        return None
    return (
        f"nothing came back in {done.silent_seconds:.1f} s: the backend took the call and said nothing; see its own "
        "log, and that the route's adapter is the dialect it speaks: sottovoce explain backend.silent"
    )


def _lines(done: "Replay") -> list[tuple[str, str]]:
    figures = done.statistics
    latency = " · ".join(
        f"{name} {value:.1f} ms"
        for name, value in (
            ("p50", done.latency_ms(0.5)),
            ("p90", done.latency_ms(0.9)),
            ("p99", done.latency_ms(0.99)),
        )
        if value is not None
    )
    how = ", by ticket" if figures.is_resumed else ""
    again = [
        ("again", f"{_counted(len(done.lost_calls), 'time')}, {done.resumptions} by ticket: {reason}")
        for reason in done.lost_calls[-1:]
    ]
    silence = _silence(done)
    is_said = silence is None or silence in (_fault(done) or "")
    return [
        *again,
        ("handshake", f"TLS {figures.tls_ms or 0:.0f} ms, voice {figures.voice_ms or 0:.0f} ms{how}"),
        ("TLS group", figures.tls_group or "-"),
        ("suite", figures.suite or "-"),
        ("signed by", " + ".join(figures.server_signatures)),
        ("keys", f"{_counted(figures.epochs, 'epoch')}, {_counted(figures.generations, 'generation')}"),
        ("frames", f"{done.frames_sent} sent, {done.frames_returned} back, {done.frames_lost} lost"),
        ("latency", f"{latency} (from each frame's due instant; sender late by up to {done.late_ms:.1f} ms)"),
        *(() if silence is None or is_said else (("backend", silence),)),
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
