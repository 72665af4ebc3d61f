"""`sottovoce status`: how a running proxy does, in few lines."""

import click

from sottovoce.cli.output import json_option, print_json
from sottovoce.cli.watching.place import concern_lines, exit_code, find_url, place_argument, summary


@click.command("status")
@place_argument
@json_option
def command(place: str, *, as_json: bool) -> int:
    """Say how the proxy of DIR does, or the one whose admin address is URL (http://127.0.0.1:9443).

    One line for the whole, then one for each cause of trouble with its remedy, the worst first.  Exit 0 if it is
    healthy, 3 if it answers and is not, 1 if nobody answers.  --json prints what GET /status gives.
    """
    import msgspec

    from sottovoce.admin import ask_status

    status = ask_status(find_url(place))
    code = exit_code(status)
    if as_json:
        print_json("status", {"ok": code == 0, **msgspec.structs.asdict(status)})
        return code
    click.echo(summary(status))
    for line in concern_lines(status.concerns):
        click.echo(line)
    return code
