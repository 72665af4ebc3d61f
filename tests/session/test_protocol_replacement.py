"""Protocol §6, §7: RekeyVerify, and a new certificate on the way."""

from typing import Any

import pytest

from sottovoce.wire import Code
from tests.session.dialogue import Serving
from tests.session.foreign_bytes import PING, split, tlvs_of, u
from tests.session.keys import (
    DAY,
    HOST,
    WALL,
    anchor_keys,
    anchor_of,
    certificate,
    issue,
    other_anchor_keys,
    other_serving_keys,
    serving_keys,
)
from tests.session.meeting import AtClient, AtServer, code_of


def _fresh(**changes: Any) -> bytes:
    return issue(anchor_keys(), other_serving_keys(), **({"not_after": int(WALL) + 7 * DAY} | changes))


@pytest.mark.protocol("P3.26", "P3.27", "P6.36", "P6.37")
def test_a_new_certificate_replaces_the_sessions() -> None:
    meeting = AtClient()
    meeting.peer.keys = other_serving_keys()
    encoded = _fresh()
    meeting.answer(encoded=encoded)
    assert code_of(meeting) is None
    meeting.hear()
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    meeting.peer.encoded = encoded
    meeting.answer()
    assert code_of(meeting) is None, "the next step stands on the new one without sending it again"


@pytest.mark.protocol("P3.27", "P6.37", "P10.2")
def test_a_step_signed_by_keys_of_a_certificate_that_was_not_sent() -> None:
    meeting = AtClient()
    meeting.peer.keys = other_serving_keys()
    meeting.answer()
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.37", "P7.16", "P11.23")
@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(lambda: issue(other_anchor_keys(), other_serving_keys()), id="another anchor"),
        pytest.param(lambda: _fresh(authorities=("other.example.com",)), id="another host"),
        pytest.param(lambda: _fresh(not_after=int(WALL) - DAY, not_before=int(WALL) - 2 * DAY), id="expired"),
        pytest.param(lambda: _fresh(not_after=int(WALL) + 100 * DAY), id="too long"),
        pytest.param(lambda: _fresh()[:-1] + b"\x00", id="bad signature"),
    ],
)
def test_a_new_certificate_that_is_refused(encoded: Any) -> None:
    """The other anchor is pinned too: it has to be the same one all the same."""
    meeting = AtClient(anchors=(anchor_of(anchor_keys()), anchor_of(other_anchor_keys(), (HOST,))))
    meeting.peer.keys = other_serving_keys()
    meeting.answer(encoded=encoded())
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.37")
def test_a_new_certificate_that_is_malformed() -> None:
    meeting = AtClient()
    meeting.answer(encoded=b"\x01\x00\x00")
    assert code_of(meeting) == Code.BAD_RECORD


@pytest.mark.protocol("P6.39", "P7.16", "P11.34")
@pytest.mark.parametrize(("left", "good"), [(10_000.0, True), (900.0, True), (500.0, False)])
def test_the_sessions_certificate_must_be_within_its_dates_now(left: float, *, good: bool) -> None:
    """*Now* is the wall clock at the handshake plus the time run since: the step comes 800 to 900 s later."""
    encoded = issue(anchor_keys(), serving_keys(), not_after=int(WALL + left))
    meeting = AtClient(server={"t2": u(1000, 2), "encoded": encoded})
    meeting.answer()
    assert code_of(meeting) == (None if good else Code.AUTH_FAILED)


@pytest.mark.protocol("P6.37")
def test_our_server_sends_a_certificate_that_was_replaced_and_only_then() -> None:
    serving = Serving()
    meeting = AtServer(serving=serving)
    ((_, payload),) = meeting.answered()
    assert set(tlvs_of(split(payload)[1][4:])) == {1, 2, 3, 4}
    meeting.switch()
    meeting.say(PING, bytes(8))
    meeting.hear()
    serving.certificate = _fresh()
    meeting.keys = other_serving_keys()
    meeting.now = 20.0
    ((_, payload),) = meeting.answered()
    assert tlvs_of(split(payload)[1][4:])[5] == serving.certificate != certificate()


@pytest.mark.protocol("P7.16", "P10.2")
def test_a_wrong_label_on_a_step() -> None:
    meeting = AtClient()
    meeting.peer.labels = dict(zip(meeting.peer.labels, reversed(list(meeting.peer.labels.values())), strict=True))
    meeting.answer()
    assert code_of(meeting) == Code.AUTH_FAILED
