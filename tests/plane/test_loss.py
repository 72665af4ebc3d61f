"""Why a client's connection was lost, where that is known."""

import pytest

from sottovoce.plane import Loss, loss_of_tls, loss_of_websocket
from sottovoce.transport import TlsError, TlsReason, TlsTruncated, WsFailed


@pytest.mark.parametrize("reason", [TlsReason.BAD_RECORD, TlsReason.PROTOCOL])
def test_what_tls_found_wrong_is_the_clients_fault(reason: TlsReason) -> None:
    assert loss_of_tls(TlsError(reason, "TLS failed: so")) == Loss("TLS failed: so", is_clients_fault=True)


def test_an_alert_is_what_the_client_said() -> None:
    failure = TlsError(TlsReason.ALERT, "the peer ended TLS with alert 20 (bad_record_mac)", alert=20)
    assert loss_of_tls(failure) == Loss(str(failure), is_clients_fault=False)


@pytest.mark.parametrize("failure", [None, TlsTruncated()])
def test_of_bytes_that_just_end_nothing_is_known(failure: TlsError | None) -> None:
    assert loss_of_tls(failure) is None


@pytest.mark.parametrize("code", [1002, 1007, 1008, 1009])
def test_what_the_websocket_refused_is_the_clients_fault(code: int) -> None:
    assert loss_of_websocket(WsFailed("the peer did so", None, code)) == Loss("the peer did so", is_clients_fault=True)


@pytest.mark.parametrize("code", [None, 1006, 1011])
def test_an_end_below_the_websocket_and_a_fault_of_ours_are_not(code: int | None) -> None:
    assert loss_of_websocket(WsFailed("it ended", None, code)) is None
