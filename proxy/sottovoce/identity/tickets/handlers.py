"""The side of ticket keys that is inside the token process: it makes them of the token's random bytes, and opens them.

Nothing else that is sealed under the KEK leaves by this way: seeds are sealed under another label, and of wrapped keys
only those for tickets are opened.
"""

from collections.abc import Iterable

from sottovoce.hsm import Counts, Handler, OperationRefused, Worker
from sottovoce.identity.tickets.operations import (
    NEW_TICKET_KEY,
    OPEN_TICKET_KEY,
    TICKET_PURPOSE,
    NewTicketKey,
    OpenedTicketKey,
    OpenTicketKey,
    WrappedTicketKey,
)


def ticket_handlers(counts: Counts) -> Iterable[Handler]:
    """Give the answerers."""

    def make(worker: Worker, _: NewTicketKey) -> WrappedTicketKey:
        counts.add("ticket_keys_made")
        return WrappedTicketKey(worker.new_wrapped_key(TICKET_PURPOSE))

    def open_(worker: Worker, question: OpenTicketKey) -> OpenedTicketKey:
        if question.wrapped.purpose != TICKET_PURPOSE:
            text = f"a key for {question.wrapped.purpose!r} is not opened as a ticket key"
            raise OperationRefused(text)
        counts.add("ticket_keys_opened")
        return OpenedTicketKey(worker.open_key(question.wrapped))

    return Handler(NEW_TICKET_KEY, make), Handler(OPEN_TICKET_KEY, open_)
