"""The client's machine: a voice call from the TLS handshake to the last close_notify, without input or output.

    receive(data, now)                          send_audio(frame, now) → whether it was sealed
    on_deadline(now)                            to_send() → bytes, after *every* call
    take() → item or None

Bytes of the network go in and come out; it is the same under Trio, asyncio and blocking sockets.  Items wait inside, in
a bounded `Inbox`, until they are taken: the keys turn whether the user reads or not.  `now` is monotonic seconds of a
clock that runs on in suspend; deadlines are on it too.

    TLS handshake → HTTP upgrade to `sottovoce.v1` → voice handshake → open → closing → over

It fails closed (docs/protocol.md §1): there is one offer, and whatever is not an answer to it ends the attempt.  No
audio can be sealed before the voice keys are agreed, and nothing but sealed audio is ever sent.

An end has two times.  `ended` is set, and `Ended` is the last item, as soon as the call is over for its user; `is_over`
when the connection may be closed.  In between the closing handshake runs, for `CLOSE_SECONDS` at most.
"""

from sottovoce.client.machine.call import CallMachine

__all__ = ["CallMachine"]
