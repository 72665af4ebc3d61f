"""`sottovoce example`: a sample to copy from, which runs as it is printed."""

from importlib.resources import files

import click

from sottovoce.cli.output import json_option, print_json

_SUFFIX = ".txt"
"""Not `.py`: a sample is text to the package, and its name no module's."""


@click.command("example")
@click.argument("name", required=False, metavar="[NAME]")
@json_option
def command(name: str | None, *, as_json: bool) -> None:
    """Print the sample NAME, which runs as it is printed.  Without NAME: list all there are.

    Bots listen on 127.0.0.1:9000, or on the port that they are given.  Clients call wss://localhost:8443/echo as what
    `sottovoce init voice` made has it, or the URL and the directory that they are given.

    \b
      sottovoce example raw-asyncio >bot.py
      python bot.py 9000
    """  # noqa: D301  \b is click's: keep these lines as they are
    samples = _samples()
    if name is None:
        _list(samples, as_json=as_json)
    elif name not in samples:
        raise click.BadParameter(f"there is no {name!r}; there are {', '.join(samples)}", param_hint="NAME")
    elif as_json:
        print_json("example", {"ok": True, "name": name, "about": _about(samples[name]), "text": samples[name]})
    else:
        click.echo(samples[name], nl=False)


def _list(samples: dict[str, str], *, as_json: bool) -> None:
    abouts = {name: _about(text) for name, text in samples.items()}
    if as_json:
        print_json("example", {"ok": True, "examples": [{"name": name, "about": abouts[name]} for name in abouts]})
        return
    width = max(map(len, abouts))
    for name, about in abouts.items():
        click.echo(f"{name:<{width}}  {about}")
    click.echo("next:  sottovoce example raw-asyncio >bot.py")


def _samples() -> dict[str, str]:
    found = sorted((files("sottovoce.cli.examples") / "samples").iterdir(), key=lambda each: each.name)
    return {each.name.removesuffix(_SUFFIX): each.read_text(encoding="utf-8") for each in found}


def _about(text: str) -> str:
    """Give what its first line says of it."""
    return text.partition("\n")[0].removeprefix("# ")
