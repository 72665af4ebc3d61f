"""Which proxy is meant, and what it says: for `status`, `top` and `hsm status`."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from sottovoce.admin import Concern, Status

NOT_HEALTHY = 3
"""The exit code of a proxy that answered and is not healthy."""
_MAX_CONCERNS = 10
_SHOWN = len("degraded")
_MAX_LINE = 500
_SECONDS = 1.0
_UNKNOWN = "127.0.0.1:0"
"""Stands for an address that only the proxy itself can tell."""

place_argument = click.argument("place", envvar="SOTTOVOCE_DIR", default=".", metavar="[DIR|URL]")
"""A directory made by `sottovoce init`, or the URL of an admin address."""


def find_url(place: str) -> str:
    """Give the admin address's URL: `place` itself, or what the proxy of that directory says.  Raises SottovoceError.

    Where that proxy could not be asked, it is what the configuration says, and a note says so.
    A configuration that cannot be read just now does not keep a proxy in the usual place from being asked.
    """
    if "://" in place:
        return place.rstrip("/")
    from sottovoce.admin import Unanswered, url_of
    from sottovoce.app.control import Unordered, find_admin
    from sottovoce.settings import ConfigurationInvalid, build, find_file, load

    file = find_file(Path(place))
    try:
        configuration = load(file)
    except ConfigurationInvalid as error:
        try:
            url = url_of(find_admin(build({"admin": {"address": _UNKNOWN}}).resolved(file.absolute().parent)).admin)
        except (Unordered, Unanswered):
            raise error from None
        say(f"note: the proxy runs, and its configuration has faults since: sottovoce check {shlex.quote(place)}")
        return url
    found = find_admin(configuration)
    url = url_of(found.admin)
    if found.doubt:
        whose = f"could not ask the proxy of {shlex.quote(place)} itself ({found.doubt})"
        say(f"note: {whose}: asking {url} instead, which may be another's")
    return url


def watch(url: str, status: "Status", picture: "Callable[[Status], RenderableType]") -> "Status":
    """Show it once a second until Ctrl-C; give the last that was seen.  Raises Unanswered when the proxy has gone."""
    from rich.live import Live

    from sottovoce.admin import ask_status

    try:
        with Live(picture(status), auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(_SECONDS)
                status = ask_status(url)
                live.update(picture(status), refresh=True)
    except KeyboardInterrupt:
        return status


def exit_code(status: "Status") -> int:
    """Give 0 for a healthy proxy, 3 for one that is not."""
    return 0 if status.state == "healthy" else NOT_HEALTHY


def summary(status: "Status") -> str:
    """Give the first line: state, calls, and what ends next."""
    from sottovoce.admin import duration
    from sottovoce.primitives import one_line

    calls = f"{status.calls.now} call{'' if status.calls.now == 1 else 's'}"
    leaf, voice = status.leaf.seconds_left, status.voice_certificate.seconds_left
    share = status.handshakes.hybrid_share
    policies = one_line("/".join(dict.fromkeys(each.pq for each in status.listeners)))
    hybrid = "no handshake yet" if share is None else f"{int(100 * share)} % hybrid"
    return " · ".join(
        (
            *(status.state, calls, *_workers(status), _hsm(status), f"leaf {duration(leaf)}"),
            *(f"voice certificate {duration(voice)}", f"pq {policies}: {hybrid}"),
        )
    )


def _workers(status: "Status") -> "Iterator[str]":
    if status.workers is not None:
        serving = sum(each.state == "serving" for each in status.workers.each)
        draining = sum(each.state == "draining" for each in status.workers.each)
        yield f"{serving} of {status.workers.wanted} workers" + (f", {draining} draining" if draining else "")


def _hsm(status: "Status") -> str:
    tokens = status.hsm.tokens
    if len(tokens) <= 1 or status.hsm.state != "up":
        return f"hsm {status.hsm.state}"
    return f"hsm {sum(each.state == 'up' for each in tokens)} of {len(tokens)} up"


def concern_lines(concerns: "Sequence[Concern]") -> list[str]:
    """Give a line for each concern, the worst first; of very many, the first."""
    from sottovoce.primitives import one_line

    lines = [
        f"{each.severity:<{_SHOWN}}  {each.cause}: {each.what}: {each.remedy}" for each in concerns[:_MAX_CONCERNS]
    ]
    if (more := len(concerns) - _MAX_CONCERNS) > 0:
        lines.append(f"… and {more} more: sottovoce status --json")
    return [one_line(line, max_characters=_MAX_LINE) for line in lines]
