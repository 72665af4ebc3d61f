"""Protocol §3: HelloRetry, at both ends."""

from typing import Any

import pytest

from sottovoce.primitives import Suite
from sottovoce.session.config import ServerConfig
from sottovoce.wire import Code
from tests.session.dialogue import Pair, client_config, ended, make_client, make_server
from tests.session.foreign_bytes import tlvs_of, u, with_tlv
from tests.session.meeting import AtClient, AtServer, code_of, judged_by_client, judged_by_server

HYBRID, CHACHA, LARGE = (Suite(number) for number in (0x0001, 0x0002, 0x0101))


def _retried(**client: Any) -> AtServer:
    """Our server after its HelloRetry."""
    meeting = AtServer(established=False, client={"shares": ()} | client)
    meeting.take(meeting.peer.hello())
    return meeting


def _group_asked(meeting: AtServer) -> int:
    (record,) = meeting.ours.to_send()
    assert record[:2] == b"\x00\x03"
    return int.from_bytes(tlvs_of(record[5:])[1])


@pytest.mark.protocol("P3.30", "P3.39", "P4.12")
def test_two_ends_of_ours_agree_after_a_retry() -> None:
    client = make_client(client_config(suites=(HYBRID, LARGE)))
    server = make_server(ServerConfig(suites=(LARGE,)))
    pair = Pair(client, server).run()
    assert [record[:2].hex() for record in pair.from_server[:2]] == ["0003", "0002"]
    assert pair.client.is_open
    pair.voice(up=2, down=2)


@pytest.mark.protocol("P3.39", "P3.40")
def test_the_group_asked_for_is_of_a_suite_that_was_offered() -> None:
    """The server's own order decides, among what the client offered."""
    assert _group_asked(_retried(suites=(0x0001, 0x0101))) == 0x11EC
    assert _group_asked(_retried(suites=(0x0101,))) == 0x11ED
    assert _group_asked(_retried(suites=(0x7A7A, 0x0101))) == 0x11ED


@pytest.mark.protocol("P3.39")
def test_no_retry_when_a_share_fits() -> None:
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    assert meeting.ours.to_send()[0][:2] == b"\x00\x02"


@pytest.mark.protocol("P3.39", "P3.42", "P11.9")
@pytest.mark.parametrize(
    "shares",
    [b"", u(0x11ED, 2) + u(1665, 2) + b"\x04" * 1665, u(0x7A7A, 2) + u(1, 2) + b"x"],
    ids=["none", "of another group", "of an unknown group"],
)
def test_the_second_hello_still_has_no_share_that_fits(shares: bytes) -> None:
    """The server does not ask again."""
    assert judged_by_server("second ClientHello", lambda made: with_tlv(made, 4, shares)) == Code.BAD_RECORD


@pytest.mark.protocol("P3.42")
@pytest.mark.parametrize("first", [True, False])
def test_the_second_hello_holds_one_share_only(*, first: bool) -> None:
    def add(made: bytes) -> bytes:
        other, shares = u(0x7A7A, 2) + u(1, 2) + b"x", tlvs_of(made[4:])[4]
        return with_tlv(made, 4, other + shares if first else shares + other)

    assert judged_by_server("second ClientHello", add) == Code.BAD_RECORD


@pytest.mark.protocol("P3.41", "P11.8")
@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (1, b"\x00\x01\x7a\x7a"),
        (2, b"\x00\x02"),
        (2, b"\x00\x01\x00\x02"),
        (2, b""),
        (3, b"\x0d" * 32),
        (5, b"a ticket"),
        (6, b"\x00"),
    ],
)
def test_the_second_hello_differs(tag: int, value: bytes) -> None:
    code = judged_by_server("second ClientHello", lambda made: with_tlv(made, tag, value), require_binding=False)
    assert code == Code.BAD_RECORD


@pytest.mark.protocol("P3.41")
def test_the_second_hello_may_differ_in_what_is_skipped() -> None:
    assert judged_by_server("second ClientHello", lambda made: with_tlv(made, 0x81, b"other")) is None


@pytest.mark.protocol("P3.41", "P3.42")
def test_our_own_second_hello() -> None:
    meeting = AtClient(established=False, suites=(HYBRID, LARGE), server={"suite": 0x0101})
    first = meeting.peer.client_hello
    meeting.take(meeting.peer.retry(0x11ED))
    second = tlvs_of(meeting.ours.to_send()[0][5:])
    assert {tag: value for tag, value in first.items() if tag != 4} == {t: v for t, v in second.items() if t != 4}
    assert second[4][:4] == u(0x11ED, 2) + u(97 + 1568, 2)
    assert len(second[4]) == 4 + 97 + 1568


@pytest.mark.protocol("P3.43", "P11.9")
@pytest.mark.parametrize("group", [0x11EC, 0x11ED])
def test_a_second_retry_at_the_client(group: int) -> None:
    meeting = AtClient(established=False, suites=(HYBRID, LARGE))
    meeting.take(meeting.peer.retry(0x11ED))
    meeting.ours.to_send()
    meeting.take(meeting.peer.retry(group))
    assert code_of(meeting) == Code.BAD_RECORD
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P3.44")
@pytest.mark.parametrize(
    "group", [0x11EC, 0x11ED, 0x001D, 0x0018, 0x7A7A], ids=["had a share", "not offered", "x25519", "p384", "unknown"]
)
def test_a_retry_that_the_client_refuses(group: int) -> None:
    meeting = AtClient(established=False, suites=(HYBRID, CHACHA))
    meeting.take(meeting.peer.retry(group))
    assert code_of(meeting) == Code.ILLEGAL_SHARE
    assert meeting.ours.to_send() == []


@pytest.mark.protocol("P3.45", "P10.4")
@pytest.mark.parametrize(
    ("tag", "value"), [(1, b"\x00\x02"), (1, b"\x00\x00"), (2, b"\xf0\x01"), (2, b"\x01\x01"), (2, b"\x7a\x7a")]
)
def test_a_version_or_suite_that_was_not_offered(tag: int, value: bytes) -> None:
    code = judged_by_client("ServerHello", lambda made: with_tlv(made, tag, value), suites=(HYBRID, CHACHA))
    assert code == Code.NO_COMMON_SUITE


@pytest.mark.protocol("P3.46", "P10.9")
def test_a_suite_whose_group_had_no_share() -> None:
    """Offered, but its share was never sent: the server must ask for it first."""

    def change(made: bytes) -> bytes:
        return with_tlv(with_tlv(made, 2, b"\x01\x01"), 4, u(0x11ED, 2) + b"\x04" * (97 + 1568))

    assert judged_by_client("ServerHello", change, suites=(HYBRID, LARGE)) == Code.ILLEGAL_SHARE


@pytest.mark.protocol("P3.46")
def test_after_a_retry_the_first_share_is_dead() -> None:
    meeting = AtClient(established=False, suites=(HYBRID, LARGE))
    hello = meeting.peer.hello()
    meeting.take(meeting.peer.retry(0x11ED))
    meeting.ours.to_send()
    meeting.take(hello)
    assert code_of(meeting) == Code.ILLEGAL_SHARE


@pytest.mark.protocol("P3.68", "P10.9")
@pytest.mark.parametrize("group", [0x11ED, 0x001D, 0x7A7A])
def test_a_server_share_of_another_group_than_the_suites(group: int) -> None:
    def change(made: bytes) -> bytes:
        return with_tlv(made, 4, u(group, 2) + tlvs_of(made[4:])[4][2:])

    assert judged_by_client("ServerHello", change, suites=(HYBRID, LARGE)) == Code.ILLEGAL_SHARE


@pytest.mark.protocol("P11.8", "P10.2")
def test_suites_removed_or_reordered_on_the_way() -> None:
    """Who changes the offer between the ends breaks the transcript: the flights do not open."""
    for suites in (b"\x00\x01", b"\x01\x01\x00\x02\x00\x01"):
        pair = Pair()
        (hello,) = pair.client_records()
        pair.to_server(b"\x00" + with_tlv(hello[1:], 2, suites))
        for record in pair.server_records():
            pair.to_client(record)
        assert pair.client.has_ended
        assert ended(pair.client_events).code == Code.AUTH_FAILED


@pytest.mark.protocol("P11.9")
def test_a_retry_forged_on_the_way() -> None:
    """The client answers it with another share, and the ends then disagree about what was said."""
    pair = Pair()
    (hello,) = pair.client_records()
    forged = AtServer(established=False, client={"shares": (), "suites": (0x0101,)})
    forged.take(forged.peer.hello())
    pair.to_client(forged.ours.to_send()[0])
    (second,) = pair.client_records()
    assert second != hello
    pair.to_server(second)
    for record in pair.server_records():
        pair.to_client(record)
    assert ended(pair.client_events).code == Code.AUTH_FAILED
    assert not pair.client.to_send()
