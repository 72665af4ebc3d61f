"""The backend's machine: one call of the `raw` contract, without input or output.

    receive(data, now)                     audio(…), data(…), say(text, now), hang_up(now, reason)
    on_deadline(now)                       to_send() → bytes, after *every* call
    take() → item or None

Bytes of the network go in and come out; it is the same under Trio and asyncio.  Items wait inside, in a bounded
`Inbox`, until they are taken.  `now` is monotonic seconds; deadlines are on the same clock.

    upgrade → `start` → running → `stop`, of whichever side → closing → over
"""

from sottovoce.backend.machine.call import LAST_WORDS_SECONDS, CallMachine
from sottovoce.backend.machine.inbox import MAX_AUDIO_FRAMES, MAX_OTHER_ITEMS

__all__ = ["LAST_WORDS_SECONDS", "MAX_AUDIO_FRAMES", "MAX_OTHER_ITEMS", "CallMachine"]
