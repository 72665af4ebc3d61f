"""Several processes that carry a proxy's calls, and what the supervisor and they say to each other.

    workers   what the rest of the proxy sees      crew   processes, kept running      member   one of them
    places    listening sockets                    desk   what is said, and how        process  a worker itself
    taking    those of them that a worker accepts from
    handover  what stays when the supervisor becomes a newer one

Which process has what: docs/decisions/0018-workers.md.
"""

from sottovoce.app.workers.crew import Crew, WorkerFailed
from sottovoce.app.workers.handover import Handover, HandoverInvalid, OldWorker
from sottovoce.app.workers.member import Lending
from sottovoce.app.workers.places import address_of, bind_places, close_places
from sottovoce.app.workers.workers import NotPaused, Workers, running

__all__ = [
    "Crew",
    "Handover",
    "HandoverInvalid",
    "Lending",
    "NotPaused",
    "OldWorker",
    "WorkerFailed",
    "Workers",
    "address_of",
    "bind_places",
    "close_places",
    "running",
]
