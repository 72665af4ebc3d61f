"""A server: what TLS it speaks, what it shows, whether it is believed, and whether it is one of ours."""

import time
from urllib.parse import urlsplit

from sottovoce.app.doctor import State
from sottovoce.app.doctor.remote.carriage import Seen, ask_for_upgrade, check_certificate, see_handshake
from sottovoce.app.doctor.remote.target import Remote, Trusted, remote_of
from sottovoce.app.inspecting.inspection import Fact, Inspection, fact, fault
from sottovoce.app.inspecting.x509 import certificate_facts, date_faults
from sottovoce.client import CallError, Codec, connect
from sottovoce.primitives import one_line

_SOME_ROUTE = "/echo"


def place_of(url: str, trusted: Trusted) -> Remote:
    """Read a URL, which need not name a route, and files.  Raises CallMisconfigured."""
    spelled = f"wss{url.removeprefix('https')}" if url.startswith("https://") else url
    try:
        bare = urlsplit(spelled).path in {"", "/"}
    except ValueError:
        bare = False
    return remote_of(spelled.rstrip("/") + _SOME_ROUTE if bare else spelled, trusted)


async def inspect_url(remote: Remote) -> Inspection:
    """Look at a server.  Raises CallError where there is none, or none that speaks TLS 1.3."""
    handshake, chain = await see_handshake(remote)
    is_hybrid = "MLKEM" in handshake.group.upper()
    facts = [
        fact("tls", f"{handshake.version}, {handshake.cipher}"),
        fact("group", f"{handshake.group}; post-quantum: {'yes' if is_hybrid else 'no'}"),
    ]
    faults = [line for each in chain for line in date_faults(each, time.time())]
    for each in chain:
        facts += certificate_facts(each)
    believed, why = await _is_believed(remote)
    facts.append(fact("believed", "yes" if believed else f"no: {why}"))
    facts.append(fact("speaks", await _what_it_speaks(remote)))
    if remote.anchors and believed:
        found, failure = await _voice(remote)
        facts += found
        faults += failure
    what = f"a TLS server, {one_line(str(remote.address))}"
    return Inspection("server", what, tuple(facts), tuple(faults))


async def _is_believed(remote: Remote) -> tuple[bool, str]:
    (finding, *_) = await check_certificate(remote, Seen(), time.time())
    return finding.state is not State.FAIL, f"{finding.what}; {finding.remedy}"


async def _what_it_speaks(remote: Remote) -> str:
    """Ask for a call without judging the certificate; none is made."""
    route = remote.address.target
    (finding, *_) = await ask_for_upgrade(remote)
    return f"sottovoce.v1 on {route}" if finding.state is State.OK else f"no sottovoce.v1 on {route}: {finding.what}"


async def _voice(remote: Remote) -> tuple[list[Fact], list[str]]:
    try:
        async with connect(
            remote.url, anchor=remote.anchors, ca=remote.ca, token=remote.token, key=remote.key, codec=Codec.PCM16_16K
        ) as call:
            figures = call.statistics
            proof = f"proved by {' + '.join(figures.server_signatures)} under an anchor that you gave"
            return [fact("voice", f"{figures.suite}, {proof}")], []
    except CallError as error:
        return [], [fault(str(error))]
