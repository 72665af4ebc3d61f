"""Where calls are carried: listeners and everything that a call needs, lent by whoever keeps keys and logs.

carrier   what a proxy sees of it, and what it is lent     floor   the thing itself, one a process
load, staff   what it says of itself                       the others: its parts
"""

from sottovoce.app.floor.backends import Backends
from sottovoce.app.floor.callers import Callers
from sottovoce.app.floor.carrier import Carrier, Change, CountedTickets, Supplies, VoiceCertificates
from sottovoce.app.floor.contexts import TlsContexts, tls_policies
from sottovoce.app.floor.floor import Floor, ServedListener
from sottovoce.app.floor.load import BackendSeen, Load, total
from sottovoce.app.floor.measured import MeasuredRoute, versions
from sottovoce.app.floor.staff import Loss, Staff

__all__ = [
    "BackendSeen",
    "Backends",
    "Callers",
    "Carrier",
    "Change",
    "CountedTickets",
    "Floor",
    "Load",
    "Loss",
    "MeasuredRoute",
    "ServedListener",
    "Staff",
    "Supplies",
    "TlsContexts",
    "VoiceCertificates",
    "tls_policies",
    "total",
    "versions",
]
