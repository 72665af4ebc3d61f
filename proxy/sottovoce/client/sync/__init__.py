"""The client for programs without an event loop: `connect`, and the `Call` that it gives; its methods block.

    with connect("wss://voice.example.com/echo", anchor="anchor.json", ca="ca.pem") as call:
        call.send(frame)
        item = call.receive(timeout=1)
        for item in call: …

`calls` is the same for a conversation that is to outlive a call.  Any thread may use a call, also several at once: one
that sends and one that reads, say.

**One thread a call.**  Keys have to be renewed while the program does something else, so a thread of the call's own has
its socket and its machine; what other threads want they ask of it (`link`).  It is gone when the block is left.  It is
a daemon: a program that ends without closing its call ends all the same, and the server takes the call for cut off.

**Ctrl-C** strikes in the main thread, so never in the call's own: what waits is broken off, has sent nothing or all of
its record and taken nothing, and the call goes on; left by it, the block still says so to the server, which takes a
second at most.
"""

from sottovoce.client.settings import ConnectOptions
from sottovoce.client.sync.call import Call, connect
from sottovoce.client.sync.calls import Calls, Leg, calls

__all__ = ["Call", "Calls", "ConnectOptions", "Leg", "calls", "connect"]
