"""The client for programs on asyncio, uvloop included: `connect`, and the `Call` that it gives.

    async with connect("wss://voice.example.com/echo", anchor="anchor.json", ca="ca.pem") as call:
        await call.send(frame)
        async for item in call: …

`calls` is the same for a conversation that is to outlive a call.

**No task of its own.**  The event loop calls the call's protocol (`link`) when bytes have come or time is due, so keys
are renewed while the user neither reads nor sends, and nothing is held over the user's block: a call may be opened in
one task and closed in another, and calls in any order.  What is received waits in a bounded inbox: the oldest audio
gives way, the rest is kept.

**Cancellation.**  A cancelled `send` has sent nothing: it waits before it seals, while the connection is full or the
keys are too old, and not afterwards.  A cancelled `anext(call)` has lost nothing, so `asyncio.wait_for(anext(call), 1)`
is a read with a time limit.  A block that is left by cancellation still says so to the server, which takes a second at
most.  A call that nobody closes ends with the process, and asyncio warns of its connection.
"""

from sottovoce.client.asyncio.call import calls, connect
from sottovoce.client.settings import ConnectOptions
from sottovoce.client.shell import Call, Calls, Leg

__all__ = ["Call", "Calls", "ConnectOptions", "Leg", "calls", "connect"]
