"""TLS 1.3 records without OpenSSL, once it has shaken hands.  Pure."""

from sottovoce.transport.records.alerts import Alert, ended_by_alert
from sottovoce.transport.records.core import RecordCore, Traffic
from sottovoce.transport.records.keys import SUITES, TlsSuite, TrafficKey
from sottovoce.transport.records.limits import KEY_LIMITS, KeyLimits

__all__ = [
    "KEY_LIMITS",
    "SUITES",
    "Alert",
    "KeyLimits",
    "RecordCore",
    "TlsSuite",
    "Traffic",
    "TrafficKey",
    "ended_by_alert",
]
