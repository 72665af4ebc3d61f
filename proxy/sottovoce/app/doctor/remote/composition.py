"""In what order a proxy is looked at from outside, and what rests on what."""

import time
from collections.abc import Callable, Iterable
from functools import partial

import trio

from sottovoce.app.doctor.findings import Check, Finding, Look, Report, examine
from sottovoce.app.doctor.remote.carriage import (
    Seen,
    check_certificate,
    clock_findings,
    connect_tcp,
    look_up,
    shake_hands,
    upgrade,
)
from sottovoce.app.doctor.remote.target import Remote
from sottovoce.app.doctor.remote.voice import Heard, echo_findings, no_anchor, shake_voice


async def examine_remote(remote: Remote) -> Report:
    """Look at it.  Takes a second or two, ten more for each step that gets no answer."""
    seen, heard = Seen(), Heard()
    checks = [
        Check("name", partial(look_up, remote, seen)),
        Check("tcp", partial(connect_tcp, remote), ("name",)),
        Check("tls", partial(shake_hands, remote, seen), ("tcp",)),
        Check("certificate", partial(check_certificate, remote, seen, time.time()), ("tls",)),
        Check("upgrade", partial(upgrade, remote, seen), ("certificate",)),
        Check("clock", _now(lambda: clock_findings(seen)), ("upgrade",)),
    ]
    if not remote.anchors:
        return await examine([*checks, Check("voice", _now(no_anchor), ("upgrade",))])
    voice = Check("voice", partial(shake_voice, remote, heard), ("upgrade",))
    return await examine([*checks, voice, Check("backend", _now(lambda: echo_findings(heard)), ("voice",))])


def _now(look: Callable[[], Iterable[Finding]]) -> Look:
    async def looked() -> Iterable[Finding]:
        await trio.lowlevel.checkpoint()
        return look()

    return looked
