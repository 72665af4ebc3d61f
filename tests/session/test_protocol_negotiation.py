"""Protocol §3: suites, groups, shares and HelloRetry."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem

from sottovoce.primitives import DEFAULT_SUITES, ApiMisuse, Group, Suite, SystemKem
from sottovoce.session.config import ServerConfig
from sottovoce.wire import Code
from tests.session.dialogue import Pair, client_config, make_client, make_server
from tests.session.foreign import ForeignClient
from tests.session.foreign_bytes import GROUPS, tlvs_of, u, with_tlv
from tests.session.meeting import AtClient, AtServer, code_of, judged_by_client, judged_by_server

HYBRID, CHACHA, LARGE, X, P = (Suite(number) for number in (0x0001, 0x0002, 0x0101, 0xF001, 0xF002))
EVERY = (HYBRID, CHACHA, LARGE, X, P)


def _suite_at_server(*, order: tuple[Suite, ...], **client: Any) -> int | None:
    """The suite that our server takes; None where it asks for another share."""
    meeting = AtServer(established=False, client=client, suites=order)
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) is None
    record = meeting.ours.to_send()[0]
    return None if record[1] == 3 else int.from_bytes(tlvs_of(record[5:])[2])


def _refused(*, order: tuple[Suite, ...] = EVERY, **client: Any) -> int | None:
    meeting = AtServer(established=False, client=client, suites=order)
    meeting.take(meeting.peer.hello())
    return code_of(meeting)


@pytest.mark.parametrize(
    "suite",
    [
        pytest.param(HYBRID, marks=pytest.mark.protocol("P3.50", "P3.57")),
        pytest.param(CHACHA, marks=pytest.mark.protocol("P3.51", "P8.2")),
        pytest.param(LARGE, marks=pytest.mark.protocol("P3.52", "P3.58")),
        pytest.param(X, marks=pytest.mark.protocol("P3.53", "P3.59")),
        pytest.param(P, marks=pytest.mark.protocol("P3.53", "P3.60")),
    ],
)
def test_each_suite_with_a_foreign_peer_on_either_side(suite: Suite) -> None:
    number = int(suite)
    server = AtServer(client={"suites": (number,)}, suites=(suite,))
    client = AtClient(server={"suite": number}, suites=(suite,))
    for meeting in (server, client):
        assert [type(event).__name__ for event in meeting.events][-1] == "Established"
        meeting.say(1, b"\0hello")
        assert code_of(meeting) is None


@pytest.mark.protocol("P3.50", "P3.54", "P11.10")
def test_the_mandatory_suite_is_the_default_and_no_classical_one_is() -> None:
    assert DEFAULT_SUITES[0] is HYBRID
    assert client_config().suites == ServerConfig().suites == DEFAULT_SUITES
    assert not any(suite.is_classical for suite in DEFAULT_SUITES)
    offered = tlvs_of(make_client().to_send()[0][5:])[2]
    assert offered == b"".join(u(suite, 2) for suite in (HYBRID, CHACHA, LARGE))


@pytest.mark.protocol("P3.54", "P3.56", "P10.4", "P11.10")
@pytest.mark.parametrize("offer", [(0xF001,), (0xF002,), (0xF002, 0xF001)])
def test_a_classical_offer_to_a_server_without_classical_suites(offer: tuple[int, ...]) -> None:
    assert _refused(order=DEFAULT_SUITES, suites=offer) == Code.NO_COMMON_SUITE


@pytest.mark.protocol("P3.54")
def test_a_classical_suite_where_the_policy_says_so() -> None:
    assert _suite_at_server(order=EVERY, suites=(0xF002,)) == 0xF002


@pytest.mark.protocol("P3.55")
def test_the_servers_order_decides_among_the_suites_that_have_a_share() -> None:
    groups = (0x11EC, 0x11ED)
    assert _suite_at_server(order=(HYBRID, LARGE), suites=(0x0101, 0x0001), shares=groups) == 0x0001
    assert _suite_at_server(order=(LARGE, HYBRID), suites=(0x0001, 0x0101), shares=groups) == 0x0101
    assert _suite_at_server(order=(CHACHA, HYBRID), suites=(0x0001, 0x0002)) == 0x0002


@pytest.mark.protocol("P3.55", "P3.39")
def test_a_share_that_fits_is_taken_rather_than_asked_for_another() -> None:
    assert _suite_at_server(order=(LARGE, HYBRID), suites=(0x0101, 0x0001), shares=(0x11EC,)) == 0x0001


@pytest.mark.protocol("P3.56", "P10.4")
@pytest.mark.parametrize(("tag", "value"), [(1, b"\x00\x02"), (1, b""), (2, b""), (2, b"\x12\x34\x0a\x0a")])
def test_no_common_version_or_suite(tag: int, value: bytes) -> None:
    assert judged_by_server("ClientHello", lambda made: with_tlv(made, tag, value)) == Code.NO_COMMON_SUITE


@pytest.mark.protocol("P3.1")
def test_unknown_versions_and_suites_beside_a_known_one_do_no_harm() -> None:
    assert judged_by_server("ClientHello", lambda made: with_tlv(made, 1, b"\x7a\x7a\x00\x01")) is None
    assert judged_by_server("ClientHello", lambda made: with_tlv(made, 2, b"\x7a\x7a\x00\x01")) is None


@pytest.mark.protocol("P3.61")
@pytest.mark.parametrize("group", [0x11EC, 0x7A7A])
def test_two_shares_of_one_group(group: int) -> None:
    def double(made: bytes) -> bytes:
        return with_tlv(made, 4, tlvs_of(made[4:])[4] + (u(group, 2) + u(1, 2) + b"x") * 2)

    assert judged_by_server("ClientHello", double) == Code.BAD_RECORD


@pytest.mark.protocol("P3.62", "P3.63")
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("group", [0x7A7A, 0x11ED, 0x001D, 0x0018])
def test_shares_that_are_unknown_or_not_chosen_are_not_looked_into(group: int, *, first: bool) -> None:
    """Rubbish as a share of another group, known or not, and known suites for it offered as well."""

    def add(made: bytes) -> bytes:
        rubbish, shares = u(group, 2) + u(3, 2) + b"abc", tlvs_of(made[4:])[4]
        return with_tlv(with_tlv(made, 2, b"\x00\x01\x01\x01"), 4, rubbish + shares if first else shares + rubbish)

    assert judged_by_server("ClientHello", add) is None


def _with_share(made: bytes, share: bytes) -> bytes:
    group = tlvs_of(made[4:])[4][:2]
    return with_tlv(made, 4, group + u(len(share), 2) + share)


@pytest.mark.parametrize("suite", EVERY)
@pytest.mark.protocol("P3.64", "P10.9")
@pytest.mark.parametrize("change", [-1, 1])
def test_a_chosen_share_of_the_wrong_length(suite: Suite, change: int) -> None:
    def resize(made: bytes) -> bytes:
        share = tlvs_of(made[4:])[4][4:]
        return _with_share(made, share[:-1] if change < 0 else share + b"\0")

    meeting = AtServer(
        established=False,
        client={"suites": (int(suite),), "edit": lambda name, made: resize(made) if name == "ClientHello" else made},
        suites=EVERY,
    )
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == Code.ILLEGAL_SHARE


@pytest.mark.protocol("P3.64", "P3.68")
@pytest.mark.parametrize("change", [-1, 1])
def test_a_server_share_of_the_wrong_length(change: int) -> None:
    def resize(made: bytes) -> bytes:
        share = tlvs_of(made[4:])[4]
        return with_tlv(made, 4, share[:-1] if change < 0 else share + b"\0")

    assert judged_by_client("ServerHello", resize) == Code.ILLEGAL_SHARE
    assert judged_by_client("RekeyResponse", lambda made: with_tlv(made, 2, tlvs_of(made[4:])[2][:-1])) == (
        Code.ILLEGAL_SHARE
    )


_BAD_EK = b"\xff" * 1184
_SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.mark.protocol("P3.65", "P11.20")
@pytest.mark.parametrize("name", ["ClientHello", "RekeyInit"])
def test_an_encapsulation_key_that_fails_the_checks_of_fips_203(name: str) -> None:
    def spoil(made: bytes) -> bytes:
        if name == "RekeyInit":
            share = tlvs_of(made[4:])[2]
            return with_tlv(made, 2, share[:2] + _BAD_EK + share[-32:])
        return _with_share(made, _BAD_EK + tlvs_of(made[4:])[4][-32:])

    assert judged_by_server(name, spoil) == Code.ILLEGAL_SHARE


@pytest.mark.protocol("P3.66", "P11.21")
@pytest.mark.parametrize("point", _SMALL_ORDER)
def test_an_x25519_point_of_small_order(point: bytes) -> None:
    at_server = judged_by_server("ClientHello", lambda made: _with_share(made, tlvs_of(made[4:])[4][4:-32] + point))
    assert at_server == Code.ILLEGAL_SHARE
    at_client = judged_by_client("ServerHello", lambda made: with_tlv(made, 4, tlvs_of(made[4:])[4][:-32] + point))
    assert at_client == Code.ILLEGAL_SHARE


@pytest.mark.protocol("P3.67", "P11.22")
@pytest.mark.parametrize(
    "point",
    [b"\x04" + b"\x01" * 96, b"\x04" + bytes(96), b"\x02" + b"\x01" * 48 + bytes(48), bytes(97)],
    ids=["off the curve", "zero", "compressed", "infinity"],
)
@pytest.mark.parametrize(("suite", "group"), [(LARGE, 0x11ED), (P, 0x0018)])
def test_a_p384_point_that_is_none(point: bytes, suite: Suite, group: int) -> None:
    def spoil(made: bytes) -> bytes:
        return _with_share(made, point + tlvs_of(made[4:])[4][4 + 97 :])

    meeting = AtServer(
        established=False,
        client={"suites": (int(suite),), "edit": lambda name, made: spoil(made) if name == "ClientHello" else made},
        suites=EVERY,
    )
    meeting.take(meeting.peer.hello())
    assert code_of(meeting) == Code.ILLEGAL_SHARE
    assert group == suite.group


@pytest.mark.protocol("P3.49", "P3.46")
def test_a_share_is_good_for_one_message() -> None:
    kem = SystemKem()
    for group in Group:
        share = kem.generate(group)
        answer, secret = kem.encapsulate(group, share.public)
        assert share.finish(answer) == secret
        with pytest.raises(ApiMisuse):
            share.finish(answer)
        erased = kem.generate(group)
        erased.erase()
        with pytest.raises(ApiMisuse):
            erased.finish(answer)


@pytest.mark.protocol("P3.49", "P7.3")
def test_each_root_step_and_each_hello_has_a_fresh_share() -> None:
    meeting = AtClient(server={"t2": u(10, 2)})
    seen = {meeting.peer.client_shares()[0x11EC]}
    for _ in range(3):
        init = meeting.init()
        seen.add(tlvs_of(init[4:])[2][2:])
        meeting.say(6, meeting.peer.rekey_answer(init))
        meeting.hear()
        meeting.switch()
        meeting.say(4, bytes(8))
        meeting.hear()
    assert len(seen) == 4


@pytest.mark.protocol("P3.57")
def test_the_order_of_parts_in_x25519mlkem768() -> None:
    """ML-KEM comes first in shares and secret: the client's key is taken apart by hand."""
    client = ForeignClient()
    share = client.shares[0x11EC][0]
    mlkem.MLKEM768PublicKey.from_public_bytes(share[:1184])
    assert len(share) == 1184 + 32
    assert GROUPS[0x0001] == 0x11EC
    assert Pair(make_client(), make_server()).run().client.is_open
