"""`python -m loadtest scenarios`: which there are, and what each is about."""

import click


@click.command("scenarios")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(*, as_json: bool) -> None:
    """List the scenarios that come with this; `run NAME` runs one, and a copy of its file is the start of another."""
    import json  # noqa: PLC0415  --help is quick

    from loadtest.report.table import aligned  # noqa: PLC0415  likewise
    from loadtest.scenario import SHIPPED, read_scenario, shipped_scenarios  # noqa: PLC0415  likewise

    found = {name: read_scenario(file) for name, file in shipped_scenarios().items()}
    if as_json:
        listed = [
            {"name": name, "about": each.about, "calls": each.calls, "seconds": each.seconds}
            for name, each in found.items()
        ]
        click.echo(json.dumps({"schema": "loadtest.scenarios/1", "ok": True, "scenarios": listed}))
        return
    table = [["scenario", "calls", "seconds", "what it is"]]
    table += [[name, str(each.calls), f"{each.seconds:g}", each.about] for name, each in found.items()]
    for line in aligned(table):
        click.echo(line)
    click.echo(f"files: {SHIPPED}")
