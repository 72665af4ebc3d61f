"""Why a call could not be made, or ended otherwise than by hanging up.

There is one class for each code of protocol §10, and a few for what happens outside of the voice protocol.
The text is one line for people: what happened, then what to do about it.  It is made here and nowhere below, and never
holds a token, a key or a peer's own words.
"""

import os
from typing import ClassVar, cast

from sottovoce.client.items import Ended
from sottovoce.primitives import SottovoceError
from sottovoce.transport import CertificateProblem, CertificateRefused, TlsError, TlsReason
from sottovoce.wire import Code, code_label

_ASK_OPERATOR = "tell the server's operator what you see here"
_REPORT = "update both ends to the same version, and report it if it stays so"


class CallError(SottovoceError):
    """Root of this package's errors.  `code` is the protocol's number where there is one, `remedy` what to do."""

    def __init__(self, happened: str, remedy: str, *, code: int | None = None) -> None:
        super().__init__(f"{happened}; {remedy}")
        self.code = code
        self.remedy = remedy


class CallMisconfigured(CallError):
    """What `connect` was given cannot be used: an address, a file, an option.  Nothing was sent."""


class ConnectFailed(CallError):
    """There is no connection that speaks `sottovoce.v1`; no audio has left.  `status` is the HTTP status, if any.

    `may_pass`: it may go well later without anything being changed.
    """

    def __init__(self, happened: str, remedy: str, *, status: int | None = None, may_pass: bool = False) -> None:
        super().__init__(happened, remedy)
        self.status = status
        self.may_pass = may_pass


class ServerNotTrusted(ConnectFailed):
    """The server's TLS certificate is not accepted; `problem` says which check failed."""

    def __init__(self, happened: str, remedy: str, problem: CertificateProblem) -> None:
        super().__init__(happened, remedy)
        self.problem = problem


class CallTruncated(CallError):
    """The call was cut off, or the server gave it up (1001): what was said last may be missing."""


class CallEnded(CallError):
    """Something was to be sent in a call that is over."""


class EndedWithCode(CallError):
    """The call, or the attempt at one, ended with a code.

    `local`: the fault was found on this side.  `is_proven`: the code came under the voice keys.
    """

    number: ClassVar[Code | None] = None
    found_here: ClassVar[tuple[str, str]]
    """What happened and the remedy, when this side ended the call."""
    said_by_server: ClassVar[tuple[str, str]]

    def __init__(self, ended: Ended, *, is_proven: bool) -> None:
        """`is_proven` is false for a code that came before there were keys: anyone on the way may have said it."""
        happened, remedy = self.found_here if ended.local else self.said_by_server
        code = f"{ended.code} {ended.label}" if ended.label != str(ended.code) else ended.label
        detail = f": {ended.reason}" if ended.local else "" if is_proven else ", unproven"
        super().__init__(f"{happened} ({code}{detail})", remedy, code=ended.code)
        self.local = ended.local
        self.is_proven = is_proven


class BadRecord(EndedWithCode):
    """4400."""

    number = Code.BAD_RECORD
    found_here = ("the server sent what the protocol does not allow", _REPORT)
    said_by_server = ("the server does not understand what this client sent", _REPORT)


class AuthFailed(EndedWithCode):
    """4401: here, the server did not prove who it is; from the server, the credential was refused."""

    number = Code.AUTH_FAILED
    found_here = (
        "the server did not prove that it is the one you trust",
        "do not call it; get the current anchor.json from its operator, and check this machine's clock",
    )
    said_by_server = (
        "the server refused this client's credential, or the two disagree about the connection between them",
        "check that the credential is current and for this host, and that nothing on the way rewrites host or path",
    )


class PolicyRefused(EndedWithCode):
    """4403."""

    number = Code.POLICY
    found_here = (
        "the server asks for something that this client does not do",
        "choose a codec and a credential (token, key or certificate) that the server accepts, or update this client",
    )
    said_by_server = (
        "the server's policy does not allow this call",
        "check the route, the codec and the frame duration, and ask the operator what this identity may use",
    )


class NoCommonSuite(EndedWithCode):
    """4406."""

    number = Code.NO_COMMON_SUITE
    found_here = ("the server chose a version or suite that was not offered", _REPORT)
    said_by_server = (
        "client and server have no version or suite in common",
        "offer the default suites, and update the older of the two",
    )


class SessionExpired(EndedWithCode):
    """4408."""

    number = Code.EXPIRED
    found_here = (
        "a time limit has passed",
        "call again; if it happens again the server or the network is too slow, so tell its operator",
    )
    said_by_server = (
        "the server let the call expire",
        "call again, with a new token if yours has run out; a call lasts a day at most",
    )


class ReplayOrGap(EndedWithCode):
    """4409."""

    number = Code.REPLAY_OR_GAP
    found_here = (
        "a record was repeated, held back or left out on the way",
        "call again; if it happens again somebody interferes with the connection, so tell the operator",
    )
    said_by_server = found_here


class DecryptFailed(EndedWithCode):
    """4410."""

    number = Code.DECRYPT_FAILED
    found_here = (
        "a record was changed on the way",
        "call again; if it happens again somebody interferes with the connection, so tell the operator",
    )
    said_by_server = found_here


class RekeyFailed(EndedWithCode):
    """4411."""

    number = Code.REKEY_PROTOCOL
    found_here = ("the server renewed the keys in a way that the protocol does not allow", _REPORT)
    said_by_server = ("the server does not accept how this client renewed the keys", _REPORT)


class IllegalKeyShare(EndedWithCode):
    """4412."""

    number = Code.ILLEGAL_SHARE
    found_here = ("the server's part of the key agreement is not valid", _REPORT)
    said_by_server = ("the server says that this client's part of the key agreement is not valid", _REPORT)


class RecordTooLarge(EndedWithCode):
    """4413."""

    number = Code.TOO_LARGE
    found_here = ("the server sent more at once than the protocol allows", _REPORT)
    said_by_server = (
        "the server says that this client sent more at once than the protocol allows",
        "send shorter frames and less metadata",
    )


class BindingMismatch(EndedWithCode):
    """4415."""

    number = Code.BINDING_MISMATCH
    found_here = ("the call cannot be bound to its connection", _REPORT)
    said_by_server = (
        "the call is not bound to the connection that the server sees",
        "something on the way ends TLS: connect to the proxy itself, through layer 4 only",
    )


class KeyLimitReached(EndedWithCode):
    """4421."""

    number = Code.KEY_LIMIT
    found_here = ("a key has been used as often as it may be", "call again, and report it if it happens again")
    said_by_server = found_here


class RateLimited(EndedWithCode):
    """4429."""

    number = Code.RATE_LIMITED
    found_here = ("the server sent too many control messages", _ASK_OPERATOR)
    said_by_server = ("the server says that this client asks or sends too often", "wait a while, then call again")


class BackendDown(EndedWithCode):
    """4450."""

    number = Code.BACKEND_DOWN
    found_here = ("the service behind the server is not there", "call again later")
    said_by_server = (
        "the service behind the server is not there, or went away",
        "call again later; the operator sees the cause in the server's log",
    )


class Draining(EndedWithCode):
    """4460."""

    number = Code.DRAINING
    found_here = ("this side is about to stop", "call again")
    said_by_server = ("the server is about to stop and takes no calls", "call again: another one takes over")


class InternalFault(EndedWithCode):
    """4499."""

    number = Code.INTERNAL
    found_here = ("this side cannot go on with the call", "call again, and report it if it happens again")
    said_by_server = ("something went wrong inside the server", f"call again; if it happens again {_ASK_OPERATOR}")


class UnlistedCode(EndedWithCode):
    """A number of the peer's that this version has no name for."""

    found_here = ("the call was ended with a code of its user's own", "see the program that chose it")
    said_by_server = ("the server ended the call with a code that this version has no name for", "update this client")


ERRORS_BY_CODE: dict[int, type[EndedWithCode]] = {
    kind.number: kind for kind in EndedWithCode.__subclasses__() if kind.number is not None
}
"""The class for each code but 1000 and 1001."""

CLEAN_CODES = frozenset({Code.NORMAL, Code.GOING_AWAY})
"""By which a user ends a call; 1001 of a server is no good end."""


def failure_of(ended: Ended, *, was_open: bool, was_heard: bool) -> CallError | None:
    """Give what is to be raised for an end; None where both sides know that the call is over and why.

    `was_open`: this side had agreed on the voice keys.  `was_heard`: the server had used them, so it had agreed too.
    Before that it refuses by the code of the connection's close: unproven, but better than no reason at all.
    """
    kind = ERRORS_BY_CODE.get(ended.code)
    if not ended.truncated:
        if ended.code not in CLEAN_CODES:
            return (kind or UnlistedCode)(ended, is_proven=True)
        if ended.code == Code.GOING_AWAY and not ended.local:
            happened = "the server left the call: it goes away, or has heard nothing from here for too long"
            return CallTruncated(happened, _CALL_AGAIN, code=ended.code)
        return None if was_open else CallEnded("the call was given up before it was open", "call again")
    if kind is not None and not was_heard:
        return kind(ended, is_proven=False)
    if was_open:
        hint = "" if ended.code == _ABNORMAL else f" (its last word, unproven: {code_label(ended.code)})"
        happened = f"the call was cut off: {ended.reason}{hint}"
        return CallTruncated(happened, _CALL_AGAIN, code=ended.code)
    return ConnectFailed(
        f"the server ended the connection before the voice keys were agreed ({code_label(ended.code)})",
        f"call again; if it happens again {_ASK_OPERATOR}",
        may_pass=True,
    )


_ABNORMAL = 1006
_CALL_AGAIN = "what was said last may be missing: call again"

_CERTIFICATE_REMEDIES = {
    CertificateProblem.UNKNOWN_CA: "give the server's CA file (ca=…, --ca or --dir): certs/ca.pem of its directory",
    CertificateProblem.EXPIRED: "check this machine's clock; if it is right, the operator has to renew the certificate",
    CertificateProblem.NOT_YET_VALID: "check this machine's clock",
    CertificateProblem.WRONG_HOST: "call it by a name that the certificate holds, or have it issued for this one",
    CertificateProblem.OTHER: "the operator has to have it issued anew",
}
_TLS_REMEDIES = {
    TlsReason.NOT_TLS: "check host and port: something else listens there",
    TlsReason.NO_COMMON_GROUP: "choose pq so that it fits the server's policy",
    TlsReason.ALERT: "the server's log says more; check pq, and the client certificate if the server wants one",
    TlsReason.TRUNCATED: "check host and port, and that the server runs",
}


def tls_failure(error: TlsError, host: str) -> ConnectFailed:
    """Give what is to be raised when TLS could not be set up with `host`."""
    if isinstance(error, CertificateRefused):
        happened = f"the TLS certificate of {host} is not accepted ({error.problem.value.replace('_', ' ')})"
        return ServerNotTrusted(happened, _CERTIFICATE_REMEDIES[error.problem], error.problem)
    may_pass = error.reason is TlsReason.TRUNCATED
    remedy = _TLS_REMEDIES.get(error.reason, _ASK_OPERATOR)
    return ConnectFailed(f"no TLS with {host}: {error}", remedy, may_pass=may_pass)


_PASSING_STATUS = frozenset({429, 500, 502, 503, 504})
_STATUS_REMEDIES = {
    400: "it does not serve calls by sottovoce.v1 at this address: check the URL",
    403: "this origin may not use the route: ask the operator",
    404: "there is no such route: check the path of the URL",
    426: "it does not serve calls by sottovoce.v1 at this address: check the URL",
    429: "too many calls at once from here: wait a while, then call again",
    503: "it takes no calls now: call again later",
}


def upgrade_failure(reason: str, status: int | None, host: str) -> ConnectFailed:
    """Give what is to be raised when `host` did not agree to speak the protocol."""
    remedy = _STATUS_REMEDIES.get(status or 0, "check the URL: this is not a server of sottovoce.v1")
    if status is not None and status // 100 == 3:  # noqa: PLR2004  HTTP's redirections
        remedy = "a call does not follow to another address: use the final one"
    may_pass = status in _PASSING_STATUS
    return ConnectFailed(f"{host} did not open the call: {reason}", remedy, status=status, may_pass=may_pass)


def dial_failure(error: OSError, address: str) -> ConnectFailed:
    """Give what is to be raised when no connection to `address` came about."""
    cause = error
    if isinstance(error.__cause__, ExceptionGroup):  # of the attempts at each of the host's addresses
        attempts = cast("ExceptionGroup[Exception]", error.__cause__).exceptions
        cause = next((each for each in attempts if isinstance(each, OSError)), error)
    by_number = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else None  # a resolver's are negative
    why = by_number or cause.strerror or "no answer"
    return ConnectFailed(f"cannot reach {address}: {why}", _CHECK_HOST, may_pass=True)


def dial_timeout(address: str) -> ConnectFailed:
    """Give what is to be raised when the attempt to reach `address` took too long."""
    return ConnectFailed(f"cannot reach {address}: no answer in time", _CHECK_HOST, may_pass=True)


_CHECK_HOST = "check host and port, and that the server runs"
