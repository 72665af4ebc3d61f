"""`sottovoce hsm bench`."""

from functools import partial
from pathlib import Path

import click

from sottovoce.cli.hsm.testing import node_option
from sottovoce.cli.output import directory_argument, json_option, print_json, print_table, say_progress

_HEADINGS = ("", "PER SECOND", "P50 MS", "P99 MS")
_MIN_SECONDS, _MAX_SECONDS = 0.3, 60.0


@click.command("bench")
@directory_argument
@node_option
@click.option(
    "--seconds",
    type=click.FloatRange(_MIN_SECONDS, _MAX_SECONDS),
    default=3.0,
    show_default=True,
    help="For each of the three that are measured.",
)
@json_option
def bench_command(directory: Path, node: str, *, seconds: float, as_json: bool) -> None:
    """Measure what the pool costs: signatures through it, beside a bare loop in each token's process.

    They are measured by turns, in one run: look at the ratios, for the rates are this machine's.  It takes what the
    tokens can do, and from a proxy that runs as well.
    """
    import msgspec

    from sottovoce.app.hsm import bench_tokens
    from sottovoce.cli.running import run_until_told

    done = run_until_told(partial(bench_tokens, directory, node, seconds=seconds, progress=say_progress))
    added, share = round(done.added_milliseconds, 3), round(done.share, 3)
    if as_json:
        ratios = {"added_milliseconds": added, "share": share}
        print_json("hsm.bench", {"ok": True, **msgspec.to_builtins(done, str_keys=True), **ratios})
        return
    loops = "a bare loop" if len(done.tokens) == 1 else f"{len(done.tokens)} bare loops"
    rows = {loops: done.bare} | {f"the pool, {count} at once": each for count, each in done.pool.items()}
    print_table(
        [
            _HEADINGS,
            *(
                (name, f"{each.per_second:.1f}", f"{each.p50_milliseconds:.3f}", f"{each.p99_milliseconds:.3f}")
                for name, each in rows.items()
            ),
        ]
    )
    click.echo(f"the pool adds {added:.3f} ms to a call by itself; with {max(done.pool)} at once it has {share:.2f} ×")
