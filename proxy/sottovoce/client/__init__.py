"""The SDK for voice clients: `async with connect(url, anchor=…) as call`.

`connect` and `calls` are for the event loop that runs, Trio's or asyncio's; `client.trio`, `client.asyncio` and
`client.sync`, which blocks, have their own.  All are shells around `client.machine`, and only the one that is used is
loaded.  The base installation is enough for this package: it needs nothing of the server's.
"""

from sottovoce.client.continuity import TicketStore
from sottovoce.client.errors import (
    ERRORS_BY_CODE,
    AuthFailed,
    BackendDown,
    BadRecord,
    BindingMismatch,
    CallEnded,
    CallError,
    CallMisconfigured,
    CallTruncated,
    ConnectFailed,
    DecryptFailed,
    Draining,
    EndedWithCode,
    IllegalKeyShare,
    InternalFault,
    KeyLimitReached,
    NoCommonSuite,
    PolicyRefused,
    RateLimited,
    RecordTooLarge,
    RekeyFailed,
    ReplayOrGap,
    ServerNotTrusted,
    SessionExpired,
    UnlistedCode,
)
from sottovoce.client.items import Audio, Clear, Data, Dtmf, Ended, Item, Json, Mark, Mute, Statistics
from sottovoce.client.running import calls, connect
from sottovoce.client.settings import ConnectOptions
from sottovoce.client.shell import Call, Calls, Leg
from sottovoce.client.trust import Trust, trust_from_directory
from sottovoce.primitives import Suite
from sottovoce.transport import PqPolicy
from sottovoce.wire import Codec

__all__ = [
    "ERRORS_BY_CODE",
    "Audio",
    "AuthFailed",
    "BackendDown",
    "BadRecord",
    "BindingMismatch",
    "Call",
    "CallEnded",
    "CallError",
    "CallMisconfigured",
    "CallTruncated",
    "Calls",
    "Clear",
    "Codec",
    "ConnectFailed",
    "ConnectOptions",
    "Data",
    "DecryptFailed",
    "Draining",
    "Dtmf",
    "Ended",
    "EndedWithCode",
    "IllegalKeyShare",
    "InternalFault",
    "Item",
    "Json",
    "KeyLimitReached",
    "Leg",
    "Mark",
    "Mute",
    "NoCommonSuite",
    "PolicyRefused",
    "PqPolicy",
    "RateLimited",
    "RecordTooLarge",
    "RekeyFailed",
    "ReplayOrGap",
    "ServerNotTrusted",
    "SessionExpired",
    "Statistics",
    "Suite",
    "TicketStore",
    "Trust",
    "UnlistedCode",
    "calls",
    "connect",
    "trust_from_directory",
]
