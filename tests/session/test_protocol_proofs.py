"""Protocol §6: Merkle proofs, what is signed, and both signatures of ServerVerify."""

from typing import Any

import pytest

from sottovoce.session import LeafKind, merkle_root, merkle_tree, signed_root
from sottovoce.wire import Code
from tests.session.dialogue import flipped, give_proof
from tests.session.foreign import ForeignServer
from tests.session.foreign_bytes import ref, tlvs_of, u, with_tlv
from tests.session.keys import Keys, other_serving_keys, serving_keys
from tests.session.meeting import AtClient, AtServer, code_of, judged_by_client

SIBLING = b"\x51" * 48


def met(prepare: Any = None, **options: Any) -> AtClient:
    """Our client after a foreign server's flight; `prepare` may change the server before it is made."""
    meeting = AtClient(established=False, server=options)
    meeting.take(meeting.peer.hello())
    if prepare is not None:
        prepare(meeting.peer)
    meeting.take(meeting.peer.flight())
    if code_of(meeting) is not None:
        assert meeting.ours.to_send() == []
    return meeting


def _path(*siblings: tuple[int, bytes]) -> Any:
    def prepare(peer: ForeignServer) -> None:
        peer.siblings = list(siblings)

    return prepare


@pytest.mark.protocol("P3.13", "P6.33")
def test_an_empty_path_means_that_the_leaf_is_the_root() -> None:
    assert code_of(met(_path())) is None


@pytest.mark.protocol("P3.13", "P3.14", "P6.32")
@pytest.mark.parametrize("nodes", [1, 2, 8, 15, 16])
@pytest.mark.parametrize("direction", [0, 1])
def test_paths_up_to_sixteen_nodes(nodes: int, direction: int) -> None:
    siblings = [((index + direction) % 2, bytes([index]) * 48) for index in range(nodes)]
    assert code_of(met(_path(*siblings))) is None


@pytest.mark.protocol("P3.13")
def test_a_path_of_seventeen_nodes() -> None:
    assert code_of(met(_path(*[(0, SIBLING)] * 17))) == Code.BAD_RECORD


@pytest.mark.protocol("P3.14")
@pytest.mark.parametrize("direction", [2, 0x80, 0xFF])
def test_a_direction_that_is_none(direction: int) -> None:
    assert judged_by_client("ServerVerify", lambda made: with_tlv(made, 2, bytes([direction]))) == Code.BAD_RECORD


@pytest.mark.protocol("P3.14", "P11.25")
def test_directions_turned_over() -> None:
    assert judged_by_client("ServerVerify", lambda made: with_tlv(made, 2, b"\x00")) == Code.AUTH_FAILED


@pytest.mark.protocol("P11.25", "P6.32")
def test_a_wrong_path() -> None:
    assert judged_by_client("ServerVerify", lambda made: with_tlv(made, 1, SIBLING)) == Code.AUTH_FAILED
    shorter = judged_by_client("ServerVerify", lambda made: with_tlv(with_tlv(made, 1, b""), 2, b""))
    assert shorter == Code.AUTH_FAILED
    longer = judged_by_client(
        "ServerVerify", lambda made: with_tlv(with_tlv(made, 1, tlvs_of(made[4:])[1] + SIBLING), 2, b"\x01\x01")
    )
    assert longer == Code.AUTH_FAILED


@pytest.mark.protocol("P11.26")
def test_a_node_passed_off_as_a_leaf() -> None:
    """A root over inner nodes of another tree, and a leaf hashed as a node is hashed: neither signs for this one."""

    class Posing(ForeignServer):
        def proof_tlvs(self, kind: LeafKind, leaf: bytes) -> dict[str, bytes]:
            as_node = ref.sha384(b"\x01" + leaf[:24] + leaf[24:])
            return super().proof_tlvs(kind, as_node)

    meeting = AtClient(established=False)
    meeting.peer.__class__ = Posing
    meeting.take(meeting.peer.hello())
    meeting.take(meeting.peer.flight())
    assert code_of(meeting) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.34")
@pytest.mark.parametrize(
    "label", [b"sottovoce.v1 rekey verify", b"sottovoce.v1 client verify", b"sottovoce.v1 voice certificate", b""]
)
def test_signed_with_another_label(label: bytes) -> None:
    def prepare(peer: ForeignServer) -> None:
        peer.labels[LeafKind.SERVER_VERIFY] = label

    assert code_of(met(prepare)) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.34")
def test_signed_without_the_zero_byte_or_with_more() -> None:
    for label in (b"sottovoce.v1 server verify\x00", b"sottovoce.v1 server verif"):

        def prepare(peer: ForeignServer, label: bytes = label) -> None:
            peer.labels[LeafKind.SERVER_VERIFY] = label

        assert code_of(met(prepare)) == Code.AUTH_FAILED


@pytest.mark.protocol("P3.15", "P3.16", "P6.35", "P10.2", "P11.24")
@pytest.mark.parametrize("tag", [3, 4])
@pytest.mark.parametrize("where", [2, 40, -1])
def test_one_bad_of_two_signatures(tag: int, where: int) -> None:
    def spoil(made: bytes) -> bytes:
        value = tlvs_of(made[4:])[tag]
        return with_tlv(made, tag, flipped(value, where % len(value)))

    assert judged_by_client("ServerVerify", spoil) == Code.AUTH_FAILED
    assert judged_by_client("RekeyVerify", spoil) == Code.AUTH_FAILED


@pytest.mark.protocol("P3.15", "P3.16", "P6.18")
@pytest.mark.parametrize(("tag", "number"), [(3, 0x0807), (3, 0x0905), (4, 0x0904), (4, 0x0906), (4, 0x0503)])
def test_a_signature_of_another_algorithm(tag: int, number: int) -> None:
    changed = judged_by_client("ServerVerify", lambda m: with_tlv(m, tag, u(number, 2) + tlvs_of(m[4:])[tag][2:]))
    assert changed == Code.AUTH_FAILED


@pytest.mark.protocol("P3.16", "P11.24")
def test_a_pq_signature_that_is_missing() -> None:
    assert judged_by_client("ServerVerify", lambda made: with_tlv(made, 4, None)) == Code.AUTH_FAILED
    assert judged_by_client("RekeyVerify", lambda made: with_tlv(made, 4, None)) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.35", "P11.24")
@pytest.mark.parametrize("which", ["classical", "pq"])
def test_one_of_two_serving_keys_is_another_ones(which: str) -> None:
    right, wrong = serving_keys(), other_serving_keys()
    mixed = Keys(wrong.classical, right.pq) if which == "classical" else Keys(right.classical, wrong.pq)
    assert code_of(met(keys=mixed)) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.32", "P11.7")
def test_a_proof_of_another_handshake() -> None:
    """A whole ServerVerify, true in its own session, spliced into this one."""
    verify: list[bytes] = []

    def keep(name: str, made: bytes) -> bytes:
        if name == "ServerVerify":
            verify.append(made)
        return made

    assert code_of(met(edit=keep)) is None
    assert judged_by_client("ServerVerify", lambda _: verify[0]) == Code.AUTH_FAILED


@pytest.mark.protocol("P6.32", "P6.33")
@pytest.mark.parametrize("leaves", [1, 2, 3, 4, 5, 7, 8, 17, 64, 255, 256])
def test_every_leaf_of_a_tree_leads_to_its_root(leaves: int) -> None:
    """With the reference's climb, and with ours."""
    level = [ref.sha384(b"\x00" + u(number, 4)) for number in range(leaves)]
    root, paths = merkle_tree(level)
    for leaf, (path, directions) in zip(level, paths, strict=True):
        assert ref.merkle_root(leaf, list(zip(directions, path, strict=True))) == root
        assert merkle_root(leaf, path, directions) == root
        assert len(path) <= 8
    assert leaves > 1 or root == level[0]


@pytest.mark.protocol("P6.34", "P6.36")
def test_what_is_signed() -> None:
    root = b"\x12" * 48
    assert signed_root(LeafKind.SERVER_VERIFY, root) == b"sottovoce.v1 server verify\x00" + root
    assert signed_root(LeafKind.REKEY_VERIFY, root) == b"sottovoce.v1 rekey verify\x00" + root


# The server's side: one leaf, one flight


@pytest.mark.protocol("P5.23", "P5.24", "P11.29")
def test_two_answers_to_one_leaf_give_one_sealed_flight() -> None:
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    meeting.prove()
    meeting.prove()
    wanted = meeting.wanted[-1]
    give_proof(meeting.server, wanted, serving_keys(), 0.0, [SIBLING])
    assert len(meeting.ours.to_send()) == 2


@pytest.mark.protocol("P5.24", "P11.29")
def test_a_root_step_is_answered_once_however_often_its_leaf_is_signed() -> None:
    meeting = AtServer()
    meeting.init()
    for _ in range(3):
        meeting.prove()
    assert len(meeting.ours.to_send()) == 1


@pytest.mark.protocol("P5.24")
def test_an_answer_after_the_end_does_nothing() -> None:
    meeting = AtServer(established=False)
    meeting.take(meeting.peer.hello())
    meeting.ours.to_send()
    meeting.at(5.0)
    meeting.prove()
    assert meeting.ours.to_send() == []
