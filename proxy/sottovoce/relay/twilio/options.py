"""`[routes.<name>.twilio]`, and what becomes of it in a call: SIDs and custom parameters.  Pure."""

import hashlib
import re
from typing import Final

import msgspec

from sottovoce.relay.call import CallStart

IDENTITY_PARAMETER: Final = "sottovoceIdentity"
"""The custom parameter with the name that the client proved; absent where none was wanted."""
MAX_PARAMETER_CHARACTERS: Final = 499
"""Name and value together.  Twilio's page on `<Stream>` has it: under 500."""
MAX_PARAMETERS: Final = 64
_RESERVED = "sottovoce"
"""What begins so, in any case, is said by the proxy alone: a client cannot name itself."""
_ACCOUNT_SID = re.compile("AC[0-9a-f]{32}")


class TwilioOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.<name>.twilio]`: what a bot is told about its account and its call."""

    account_sid: str | None = None
    """`accountSid` in `start` and `stop`: AC and 32 hexadecimal digits; without it, made from the route's name."""
    parameters: dict[str, str] = {}
    """`customParameters` of every call, as `<Parameter>` gives them in TwiML: `{ language = "en" }`."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if self.account_sid is not None and not _ACCOUNT_SID.fullmatch(self.account_sid):
            raise ValueError("account_sid: write AC and 32 digits 0-9 a-f, or remove it")
        if len(self.parameters) > MAX_PARAMETERS:
            raise ValueError(f"parameters: {len(self.parameters)} are too many; write {MAX_PARAMETERS} at most")
        for name, value in self.parameters.items():
            if not _fits(name, value):
                raise ValueError(
                    f"parameters: {name[:40]!r} is empty or too long; name and value have "
                    f"{MAX_PARAMETER_CHARACTERS} characters at most"
                )
            if _is_reserved(name):
                raise ValueError(f"parameters: {name[:40]!r} is a name that the proxy keeps; choose another")


def account_sid(options: TwilioOptions, route: str) -> str:
    """The account's SID: the configured one, or one that is always the same for a route."""
    return options.account_sid or "AC" + hashlib.sha256(f"route {route}".encode()).hexdigest()[:32]


def custom_parameters(options: TwilioOptions, start: CallStart) -> dict[str, str]:
    """Put together who calls, what the operator says and what the client says; the earlier wins over the later.

    Of the client's metadata those members that are strings and could be parameters at Twilio; the rest is left out.
    """
    parameters = {} if start.identity is None else {IDENTITY_PARAMETER: start.identity}
    parameters |= options.parameters
    for name, value in _strings(start.metadata or b"{}").items():
        if len(parameters) < MAX_PARAMETERS and _fits(name, value) and not _is_reserved(name):
            parameters.setdefault(name, value)
    return parameters


def _strings(metadata: bytes) -> dict[str, str]:
    """Give the members of a JSON object that are strings; the session has checked that it is one."""
    members = msgspec.json.decode(metadata, type=dict[str, msgspec.Raw])
    return {
        name: msgspec.json.decode(value, type=str)
        for name, value in members.items()
        if bytes(value).lstrip().startswith(b'"')
    }


def _fits(name: str, value: str) -> bool:
    return bool(name) and len(name) + len(value) <= MAX_PARAMETER_CHARACTERS


def _is_reserved(name: str) -> bool:
    return name.casefold().startswith(_RESERVED)
