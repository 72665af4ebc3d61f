"""The client for programs on Trio: `connect`, and the `Call` that it gives.

    async with connect("wss://voice.example.com/echo", anchor="anchor.json", ca="ca.pem") as call:
        await call.send(frame)
        async for item in call: …

`calls` is the same for a conversation that is to outlive a call.

**One task of its own.**  Keys have to be renewed while the user neither reads nor sends, so something must run in the
background; and a call may be opened in one task and closed in another, so no nursery or cancel scope may stay open
across the user's block.  Therefore each call has one system task of Trio's (`link`).  It ends when the call does, at
the latest in `close()`, which waits for it, or with the whole program; it never raises, as that would end the program:
whatever goes wrong in it ends the call.  What is received waits in a bounded inbox: the oldest audio gives way, the
rest is kept.

**Cancellation.**  A cancelled `send` has sent nothing, unless it was already writing: half a record may be out then,
and nothing can follow it, so the call is over.  A cancelled `async for` has lost nothing.  A block that is left by
cancellation still says so to the server, which takes a second at most.
"""

from sottovoce.client.settings import ConnectOptions
from sottovoce.client.shell import Call, Calls, Leg
from sottovoce.client.trio.call import calls, connect

__all__ = ["Call", "Calls", "ConnectOptions", "Leg", "calls", "connect"]
