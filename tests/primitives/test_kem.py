"""Key agreement: both halves agree in every group, a share works once, and bad shares are refused, not raised on."""

import pytest

from sottovoce.primitives import (
    CLIENT_SHARE_BYTES,
    SERVER_SHARE_BYTES,
    ApiMisuse,
    Group,
    IllegalShare,
    SystemKem,
)

KEM = SystemKem()


@pytest.mark.parametrize("group", Group)
def test_both_halves_agree(group: Group) -> None:
    share = KEM.generate(group)
    assert share.group is group
    assert len(share.public) == CLIENT_SHARE_BYTES[group]
    answer, at_server = KEM.encapsulate(group, share.public)
    assert len(answer) == SERVER_SHARE_BYTES[group]
    at_client = share.finish(answer)
    assert at_client == at_server
    assert len(at_client) == {Group.X25519: 32, Group.SECP384R1: 48, Group.X25519MLKEM768: 64}.get(group, 80)
    assert group.is_hybrid is (len(share.public) > 1000)


@pytest.mark.parametrize("group", Group)
def test_two_shares_lead_to_two_secrets(group: Group) -> None:
    share = KEM.generate(group)
    assert share.public != KEM.generate(group).public
    (one, first), (two, second) = KEM.encapsulate(group, share.public), KEM.encapsulate(group, share.public)
    assert one != two
    assert first != second


@pytest.mark.parametrize("group", Group)
def test_a_share_works_once(group: Group) -> None:
    share = KEM.generate(group)
    answer, _ = KEM.encapsulate(group, share.public)
    share.finish(answer)
    with pytest.raises(ApiMisuse):
        share.finish(answer)
    erased = KEM.generate(group)
    erased.erase()
    with pytest.raises(ApiMisuse):
        erased.finish(answer)


@pytest.mark.parametrize("group", Group)
def test_a_refused_answer_uses_the_share_up(group: Group) -> None:
    share = KEM.generate(group)
    answer, _ = KEM.encapsulate(group, share.public)
    with pytest.raises(IllegalShare):
        share.finish(answer[:-1])
    with pytest.raises(ApiMisuse):
        share.finish(answer)


@pytest.mark.parametrize("group", Group)
def test_wrong_lengths(group: Group) -> None:
    public = KEM.generate(group).public
    for bad in (b"", public[:-1], public + b"\0"):
        with pytest.raises(IllegalShare):
            KEM.encapsulate(group, bad)


def _classical_part(group: Group, share: bytes, part: bytes) -> bytes:
    """A share with another classical part."""
    return share[:-32] + part if group is Group.X25519MLKEM768 else part + share[len(part) :]


BAD_PARTS = [
    *((group, bytes(32)) for group in (Group.X25519, Group.X25519MLKEM768)),
    *((group, b"\x01" + bytes(31)) for group in (Group.X25519, Group.X25519MLKEM768)),
    *((group, b"\x04" + bytes(96)) for group in (Group.SECP384R1, Group.SECP384R1MLKEM1024)),
    *((group, b"\x02" + bytes(96)) for group in (Group.SECP384R1, Group.SECP384R1MLKEM1024)),
    *((group, bytes(97)) for group in (Group.SECP384R1, Group.SECP384R1MLKEM1024)),
]


@pytest.mark.parametrize(("group", "part"), BAD_PARTS)
def test_bad_classical_parts_on_both_sides(group: Group, part: bytes) -> None:
    share = KEM.generate(group)
    with pytest.raises(IllegalShare):
        KEM.encapsulate(group, _classical_part(group, share.public, part))
    answer, _ = KEM.encapsulate(group, share.public)
    with pytest.raises(IllegalShare):
        share.finish(_classical_part(group, answer, part))


@pytest.mark.parametrize("group", [Group.X25519MLKEM768, Group.SECP384R1MLKEM1024])
def test_an_mlkem_key_with_coefficients_out_of_range(group: Group) -> None:
    """FIPS 203 §7.2: 0xFFF is no coefficient."""
    public = KEM.generate(group).public
    start = 0 if group is Group.X25519MLKEM768 else 97
    with pytest.raises(IllegalShare):
        KEM.encapsulate(group, public[:start] + b"\xff\xff\xff" + public[start + 3 :])
