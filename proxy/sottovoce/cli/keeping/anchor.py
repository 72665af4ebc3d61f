"""`sottovoce anchor`: replaces what clients pin, with overlap."""

import shlex
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import any_path, json_option, print_json, say_progress

if TYPE_CHECKING:
    from sottovoce.app.anchors import AnchorSeen, AnchorsSeen

_SHOWN = 16
_directory = click.argument("directory", type=any_path, metavar="DIR")
_node = click.option("--node", default="", metavar="NAME", help="The token, where there are several; else the first.")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.group("anchor")
def command() -> None:
    """Replace the anchor of a directory, with overlap: no client is cut off.

    An anchor is what clients know the proxy by: DIR/certs/anchor.json, which they are given.  It vouches for the keys
    that calls are proved with.  To replace it:

    \b
      sottovoce anchor rotate DIR         makes a second one; anchor.json holds both
                                          now give anchor.json to every client
      sottovoce anchor switch DIR         the new one vouches from here on (then SIGHUP)
                                          now wait until the old certificates have ended
      sottovoce anchor retire DIR --yes   destroys the old one; anchor.json holds the new

    Calls that run go on through all of it.  The proxy may run meanwhile.  A command that was interrupted is finished by
    being run again.

    Of several tokens each has anchors of its own, and any of them vouches for all; anchor.json holds every token's.
    """  # noqa: D301  click leaves a paragraph with this mark as it is


@command.command("list")
@_directory
@click.option("--node", default="", metavar="NAME", help="Only this token's, where there are several.")
@json_option
def list_command(directory: Path, node: str, *, as_json: bool) -> None:
    """Show the anchors of DIR: which one issues, and until when certificates of the other are good."""
    from sottovoce.app.anchors import list_anchors

    found = list_anchors(directory, node)
    if as_json:
        _print_json("anchor.list", found, dry_run=False)
        return
    are_several = len({each.node for each in found.anchors}) > 1
    for each in found.anchors:
        token = f"{each.node:<8}  " if are_several else ""
        click.echo(f"{token}{each.id[:_SHOWN]}  {_state(each):<38}  {', '.join(each.authorities)}")


@command.command()
@_directory
@_node
@_dry_run
@json_option
def rotate(directory: Path, node: str, *, dry_run: bool, as_json: bool) -> None:
    """Make a second anchor in the token of DIR; anchor.json then holds both, the old one first.

    Nothing changes for anybody yet: the proxy goes on issuing under the old one.  The new one stands for the names that
    the configuration says under identity.names.  Run again, it makes no third.
    """
    from sottovoce.app.anchors import rotate as rotate_anchor
    from sottovoce.cli.running import run_until_told

    done = run_until_told(partial(rotate_anchor, directory, node=node, dry_run=dry_run, progress=say_progress))
    if as_json:
        _print_json("anchor.rotate", done, dry_run=dry_run)
        return
    if dry_run and done.changed:
        click.echo(f"a second anchor would be made beside {done.issuer.id[:_SHOWN]}, and {done.anchor_file} hold both")
        return
    said = "made" if done.changed else "is there already"
    click.echo(f"anchor {done.anchors[-1].id[:_SHOWN]} {said}: {done.anchor_file} holds both")
    click.echo(f"{done.issuer.id[:_SHOWN]} goes on issuing voice certificates")
    click.echo(f"next: give {done.anchor_file} to every client, and only then")
    click.echo(f"      sottovoce anchor switch {_words(directory, node)}")


@command.command()
@_directory
@click.option("--back", is_flag=True, help="Back to the old one: some clients have not got the new file.")
@_node
@_dry_run
@json_option
def switch(directory: Path, node: str, *, back: bool, dry_run: bool, as_json: bool) -> None:
    """Have voice certificates issued under the new anchor from here on.

    Clients whose file does not hold it are refused from then on (by themselves: auth_failed); --back lets them in
    again.  Calls that run go on.  A proxy that runs takes it at SIGHUP, at the latest with its next certificate.
    """
    from sottovoce.app.anchors import switch as switch_anchor
    from sottovoce.cli.running import run_until_told

    done = run_until_told(partial(switch_anchor, directory, node=node, back=back, dry_run=dry_run))
    if as_json:
        _print_json("anchor.switch", done, dry_run=dry_run)
        return
    would = "would issue" if dry_run else "issues"
    already = "" if done.changed else ", as before"
    click.echo(f"anchor {done.issuer.id[:_SHOWN]} {would} voice certificates from here on{already}")
    if dry_run:
        return
    place = _words(directory, node)
    if done.proxy_pid:
        click.echo("next: have the proxy that runs take it")
        click.echo(f"      kill -HUP {done.proxy_pid}")
    until = next((each.valid_until for each in done.anchors if each.valid_until is not None), None)
    if until is not None and not back:
        click.echo(f"then, after {_day(until)} UTC, when the certificates of the old one have ended:")
        click.echo(f"      sottovoce anchor retire {place} --yes")


@command.command()
@_directory
@click.option("--yes", is_flag=True, help="Destroy its keys: this cannot be undone.")
@_node
@_dry_run
@json_option
def retire(directory: Path, node: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Destroy the old anchor's keys, and take it out of anchor.json.

    Refused while it issues, and while a client may still take a voice certificate of it.
    """
    if not yes and not dry_run:
        raise click.UsageError("keys are destroyed for good: say --yes, or --dry-run to see which")
    from sottovoce.app.anchors import retire as retire_anchor
    from sottovoce.cli.running import run_until_told

    done = run_until_told(partial(retire_anchor, directory, node=node, dry_run=dry_run))
    if as_json:
        _print_json("anchor.retire", done, dry_run=dry_run)
        return
    gone = (done.retired or "")[:_SHOWN]
    if dry_run:
        click.echo(f"anchor {gone} would be retired, and its keys destroyed")
        return
    click.echo(f"anchor {gone} is retired, and its keys are destroyed; {done.anchor_file} holds {_ids(done)}")
    if done.proxy_pid:
        click.echo("next: have the proxy that runs put it on the audit log")
        click.echo(f"      kill -HUP {done.proxy_pid}")
    click.echo(f"at leisure: give {done.anchor_file} to every client; who holds both goes on")


def _words(directory: Path, node: str) -> str:
    """Give what names directory and token in a command."""
    return shlex.quote(str(directory)) + (f" --node {node}" if node else "")


def _print_json(schema: str, found: "AnchorsSeen", *, dry_run: bool) -> None:
    import msgspec

    print_json(schema, {"ok": True, **msgspec.to_builtins(found), "dry_run": dry_run})


def _state(anchor: "AnchorSeen") -> str:
    if anchor.is_issuing:
        return "issues"
    return "waits" if anchor.valid_until is None else f"has issued; good until {_day(anchor.valid_until)}"


def _ids(found: "AnchorsSeen") -> str:
    return ", ".join(each.id[:_SHOWN] for each in found.anchors)


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
