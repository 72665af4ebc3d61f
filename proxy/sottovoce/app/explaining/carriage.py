"""What is met before there is a voice session: HTTP statuses, TLS alerts and faults, checks of certificates."""

from collections.abc import Iterator
from typing import NamedTuple

from sottovoce.app.explaining.entries import Entry, Kind
from sottovoce.client.errors import upgrade_failure
from sottovoce.transport import CertificateProblem, TlsReason


class _Text(NamedTuple):
    name: str
    meaning: str
    causes: tuple[str, ...]
    remedies: tuple[str, ...] = ()


_NOT_OURS = ("a program that does not speak sottovoce.v1", "a health check of a balancer")

_STATUSES: dict[int, _Text] = {
    400: _Text("bad_request", "The request is no sound HTTP/1.1, or not one for a call.", _NOT_OURS),
    403: _Text(
        "forbidden",
        "A web page of this origin may not use the route.",
        ("routes.NAME.origins does not name the page's origin, letter by letter",),
        ("operator: add the origin to routes.NAME.origins, and have the configuration read again (SIGHUP)",),
    ),
    404: _Text(
        "not_found",
        "There is no such route.",
        ("a slip in the URL: it is wss://HOST:PORT/ROUTE", "the route was removed from the configuration"),
        ("operator: sottovoce check DIR reads the configuration; [routes.NAME] makes a route",),
    ),
    405: _Text("method_not_allowed", "The request's method is not GET.", _NOT_OURS),
    426: _Text("upgrade_required", "The request does not ask for a WebSocket of version 13.", _NOT_OURS),
    429: _Text(
        "too_many_requests",
        "Too many calls or handshakes at once from there.",
        ("many callers behind one address",),
        ("operator: raise listener.max_handshakes_per_address, or name the balancer in proxy_protocol_from",),
    ),
    431: _Text("header_fields_too_large", "The head of the request is larger than is read.", _NOT_OURS),
    503: _Text(
        "service_unavailable",
        "The server takes no calls now.",
        ("the audit log cannot be written", "it is about to stop", "its HSM is sealed", "no signature can be had"),
        ("operator: run sottovoce doctor DIR, and look for audit.failed, hsm.sealed and token.lost in the log",),
    ),
}

_SETTLE = "compare the TLS settings of both ends"
_OTHER_TLS = ("a TLS implementation with a fault", "something on the way that changes bytes")
_CLIENT_CERTIFICATE = ("the certificate that a client or the proxy showed is not to the other end's taste",)
_ALERTS: dict[int, _Text] = {
    10: _Text("unexpected_message", "A TLS message came out of turn.", _OTHER_TLS, (_SETTLE,)),
    20: _Text("bad_record_mac", "A TLS record did not open.", _OTHER_TLS, ("try over another network",)),
    22: _Text("record_overflow", "A TLS record was too long.", _OTHER_TLS, (_SETTLE,)),
    40: _Text(
        "handshake_failure",
        "The ends found no key agreement that both allow.",
        ("a client without ML-KEM at a listener with pq = require", "a client with classical groups only"),
        ("update the client's TLS library (OpenSSL 3.5 and newer has X25519MLKEM768)", "or set listener.pq to prefer"),
    ),
    42: _Text("bad_certificate", "A certificate is damaged, or its signature wrong.", _CLIENT_CERTIFICATE, (_SETTLE,)),
    43: _Text("unsupported_certificate", "A certificate is of a kind not taken.", _CLIENT_CERTIFICATE, ("use P-256",)),
    44: _Text("certificate_revoked", "A certificate was revoked.", _CLIENT_CERTIFICATE, ("have a new one issued",)),
    45: _Text(
        "certificate_expired",
        "A certificate is over, or a clock is wrong.",
        ("the clock of one machine is off", "a certificate was not renewed"),
        ("check both clocks; sottovoce inspect wss://HOST:PORT shows the dates", "have it renewed"),
    ),
    46: _Text(
        "certificate_unknown", "A certificate was refused for a reason not told.", _CLIENT_CERTIFICATE, (_SETTLE,)
    ),
    47: _Text("illegal_parameter", "A TLS field has a value that it may not have.", _OTHER_TLS, (_SETTLE,)),
    48: _Text(
        "unknown_ca",
        "A certificate leads to no CA that the other end trusts.",
        ("a client without the proxy's certs/ca.pem", "a client certificate of a CA not in clients.ca_file"),
        ("give the client certs/ca.pem (--ca, or --dir)", "operator: put the client's CA into clients.ca_file"),
    ),
    50: _Text("decode_error", "A TLS message could not be read.", _OTHER_TLS, (_SETTLE,)),
    51: _Text("decrypt_error", "A signature or check inside the handshake is wrong.", _OTHER_TLS, (_SETTLE,)),
    70: _Text(
        "protocol_version",
        "The other end does not speak TLS 1.3, and nothing older is spoken here.",
        ("an old client or library", "a monitor that tries TLS 1.2"),
        ("update the other end: it has to speak TLS 1.3",),
    ),
    71: _Text("insufficient_security", "The other end wants stronger settings.", _OTHER_TLS, (_SETTLE,)),
    80: _Text("internal_error", "The other end failed by itself.", ("a fault there",), ("look into its own log",)),
    109: _Text("missing_extension", "A TLS 1.3 message lacks what it must have.", _OTHER_TLS, (_SETTLE,)),
    112: _Text(
        "unrecognized_name",
        "The server does not know the name that was asked for.",
        ("a slip in the host's name", "a balancer that routes by name"),
        ("call it by a name that it knows",),
    ),
    116: _Text(
        "certificate_required",
        "The server demands a client certificate and got none.",
        ("a client called without --cert and --cert-key",),
        ("give a client certificate: sottovoce call URL --cert FILE --cert-key FILE",),
    ),
    120: _Text(
        "no_application_protocol",
        "The client offers application protocols, but not http/1.1.",
        ("a client that speaks HTTP/2 or HTTP/3 only",),
        ("let the client offer http/1.1, or no ALPN at all",),
    ),
}

_TLS_FAULTS: dict[TlsReason, _Text] = {
    TlsReason.NO_COMMON_GROUP: _Text("", _ALERTS[40].meaning, _ALERTS[40].causes, _ALERTS[40].remedies),
    TlsReason.NO_COMMON_VERSION: _Text("", _ALERTS[70].meaning, _ALERTS[70].causes, _ALERTS[70].remedies),
    TlsReason.NO_COMMON_CIPHER: _Text(
        "", "The ends have no cipher or signature algorithm in common.", ("a very limited client",), (_SETTLE,)
    ),
    TlsReason.NO_COMMON_ALPN: _Text("", _ALERTS[120].meaning, _ALERTS[120].causes, _ALERTS[120].remedies),
    TlsReason.NOT_TLS: _Text(
        "",
        "The other end does not speak TLS on this port.",
        ("a wrong port", "a plain HTTP or ws:// client", "a port scan"),
        ("check host and port, and that the client uses wss://",),
    ),
    TlsReason.CERTIFICATE: _Text(
        "",
        "A certificate was not accepted, or none was shown where one is demanded.",
        ("an unknown CA, a wrong name, a date that has passed or not come",),
        ("sottovoce inspect wss://HOST:PORT shows chain, names and dates",),
    ),
    TlsReason.HANDSHAKE_TOO_LARGE: _Text(
        "", "A TLS handshake had more bytes than any has.", ("a certificate chain of absurd length", "an attack"), ()
    ),
    TlsReason.BAD_RECORD: _Text("", _ALERTS[20].meaning, _OTHER_TLS, _ALERTS[20].remedies),
    TlsReason.ALERT: _Text(
        "",
        "The other end gave TLS up and said why by an alert's number.",
        ("see the number",),
        ("sottovoce explain with the alert's number explains it",),
    ),
    TlsReason.TRUNCATED: _Text(
        "",
        "The connection ended without TLS's farewell.",
        ("the other end was killed, or left in mid-handshake", "a balancer's health check that only connects"),
        ("check host and port, and that the server runs",),
    ),
    TlsReason.PROTOCOL: _Text("", "TLS failed for a reason without a name of ours.", _OTHER_TLS, (_SETTLE,)),
}

_CHECKS: dict[CertificateProblem, _Text] = {
    CertificateProblem.UNKNOWN_CA: _Text("", _ALERTS[48].meaning, _ALERTS[48].causes, _ALERTS[48].remedies),
    CertificateProblem.EXPIRED: _Text("", _ALERTS[45].meaning, _ALERTS[45].causes, _ALERTS[45].remedies),
    CertificateProblem.NOT_YET_VALID: _Text(
        "",
        "The certificate begins later than this machine's clock says that it is.",
        ("this machine's clock is behind", "the machine that made it had a clock ahead"),
        ("set this machine's clock: timedatectl set-ntp true",),
    ),
    CertificateProblem.WRONG_HOST: _Text(
        "",
        "The certificate is not for the name by which the server was called.",
        ("called by an address or another name", "identity.names lacks the name"),
        ("call it by a name that the certificate holds", "operator: add the name to identity.names"),
    ),
    CertificateProblem.OTHER: _Text(
        "", "The certificate breaks another rule.", ("a CA that may not issue",), ("have it issued anew",)
    ),
}
_NOTHING = ("nothing to do unless it comes often; then look at who connects",)


def carriage_entries() -> Iterator[Entry]:
    """Give the rows."""
    for status, text in _STATUSES.items():
        caller = f"caller: {upgrade_failure('', status, '').remedy}"
        yield Entry(Kind.HTTP, text.name, status, text.meaning, text.causes, (caller, *text.remedies))
    for number, text in _ALERTS.items():
        yield Entry(Kind.ALERT, text.name, number, text.meaning, text.causes, text.remedies)
    for reason, text in _TLS_FAULTS.items():
        yield Entry(Kind.TLS, reason.value, None, text.meaning, text.causes, text.remedies or _NOTHING)
    for problem, text in _CHECKS.items():
        yield Entry(Kind.CERTIFICATE, problem.value, None, text.meaning, text.causes, text.remedies)
