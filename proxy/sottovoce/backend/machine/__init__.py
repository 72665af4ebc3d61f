"""The backend's machines: a call of the `raw` contract, or the calls of a `mux` connection, without input or output.

    receive(data, now)                     audio(…), data(…), mark(name, now) and so on, hang_up(now, reason)
    on_deadline(now)                       to_send() → bytes, after *every* call
    take() → item or None

Bytes of the network go in and come out; it is the same under Trio and asyncio.  Items wait inside, in a bounded
`Inbox`, until they are taken.  `now` is monotonic seconds; deadlines are on the same clock.

With `raw` the connection and its call are one machine; with `mux` a `MuxMachine` has a `MuxCall` for each.  To a shell
they are the same: `take_begun` gives the calls that want a handler, `take_changed` those that may have news for theirs.

    upgrade → `start` → running → `stop`, of whichever side → closing → over
"""

from sottovoce.backend.machine.call import LAST_WORDS_SECONDS, CallMachine
from sottovoce.backend.machine.inbox import MAX_AUDIO_FRAMES, MAX_OTHER_ITEMS
from sottovoce.backend.machine.mux import MuxCall, MuxMachine

__all__ = ["LAST_WORDS_SECONDS", "MAX_AUDIO_FRAMES", "MAX_OTHER_ITEMS", "CallMachine", "MuxCall", "MuxMachine"]
