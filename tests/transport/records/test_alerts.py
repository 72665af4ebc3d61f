import pytest

from sottovoce.transport import TlsReason
from sottovoce.transport.records.alerts import Alert, RecordRefused, ended_by_alert


@pytest.mark.parametrize("alert", Alert)
def test_what_is_told_of_a_refusal(alert: Alert) -> None:
    told = RecordRefused(alert, "some words").told()
    assert str(told) == "TLS failed: some words"
    assert told.alert is None
    assert told.reason is (TlsReason.BAD_RECORD if alert is Alert.BAD_RECORD_MAC else TlsReason.PROTOCOL)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (20, "(bad_record_mac)"),
        (
            40,
            "(handshake_failure): no key agreement group in common, most likely; this side's policy is pq = require",
        ),
        (116, "(certificate_required): it wants a client certificate: give one"),
        (77, "(unnamed)"),
    ],
)
def test_what_is_told_of_the_peers(number: int, words: str) -> None:
    told = ended_by_alert(number, "require")
    assert (told.reason, told.alert) == (TlsReason.ALERT, number)
    assert str(told) == f"the peer ended TLS with alert {number} {words}"
