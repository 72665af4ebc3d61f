"""What the shells of all event loops share, and that imports none of them.

`Standing` is where a call stands for its shell, `Call` what a user of an asynchronous one holds, `Calls` and `Leg` a
conversation that outlives a call; `Conversation` is what of that does not wait, and serves the blocking shell, too.
A shell adds its `Link`, which moves bytes and keeps time, and how a connection is made.
"""

from sottovoce.client.shell.call import Call, Link
from sottovoce.client.shell.calls import Calls, Leg, Way
from sottovoce.client.shell.conversation import GIVE_UP_AFTER_SECONDS, Conversation
from sottovoce.client.shell.standing import LAST_WORDS_SECONDS, Standing, new_machine

__all__ = [
    "GIVE_UP_AFTER_SECONDS",
    "LAST_WORDS_SECONDS",
    "Call",
    "Calls",
    "Conversation",
    "Leg",
    "Link",
    "Standing",
    "Way",
    "new_machine",
]
