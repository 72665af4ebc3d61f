"""The routes that `sottovoce init` is given in words, `NAME=URL`, and the text that they become."""

import json
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from sottovoce.primitives import one_line
from sottovoce.settings.errors import ConfigurationInvalid, Problem
from sottovoce.settings.load import build

_WRITE = "write NAME=ws://HOST:PORT/, or NAME=ADAPTER+ws://HOST:PORT/ for another adapter than raw"
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
"""Other schemes have none: their URLs name the port."""
_adapter_and_url = re.compile(r"(?:([a-z0-9]+)\+)?((?:wss?|tcp|tls)://.*|unix:.*)", re.DOTALL).fullmatch
_is_bare = re.compile(r"[A-Za-z0-9_-]+").fullmatch


class GivenRoute(msgspec.Struct, frozen=True):
    """A route to a backend, checked."""

    name: str
    adapter: str
    url: str

    @property
    def port(self) -> int:
        """The port of its backend; 0 of a socket in the file system."""
        parts = urlsplit(self.url)
        return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def given_routes(words: Sequence[str]) -> tuple[GivenRoute, ...]:
    """Read words like `bot=ws://127.0.0.1:9000/` and `ivr=twilio+ws://127.0.0.1:9001/media`.

    Raises ConfigurationInvalid.
    """
    routes: dict[str, GivenRoute] = {}
    for word in words:
        name, _, where = word.partition("=")
        found = _adapter_and_url(where)
        if found is None:
            raise _invalid(name, "no backend's URL is given", _WRITE)
        if name == "echo" or name in routes:
            raise _invalid(name, "there is one of this name already", "choose another name")
        routes[name] = GivenRoute(name, found[1] or "raw", found[2])
    if routes:
        build({"routes": {each.name: {"adapter": each.adapter, "url": each.url} for each in routes.values()}})
    return tuple(routes.values())


def routes_text(routes: Sequence[GivenRoute]) -> str:
    """Give the tables of a configuration."""
    return "".join(
        f"\n[routes.{_key(each.name)}]\nadapter = {json.dumps(each.adapter)}\nurl = {json.dumps(each.url)}\n"
        for each in routes
    )


def _key(name: str) -> str:
    return name if _is_bare(name) else json.dumps(name)


def _invalid(name: str, reason: str, remedy: str) -> ConfigurationInvalid:
    return ConfigurationInvalid([Problem(f"--route {one_line(name)}", reason, remedy)])
