import time

import pytest

from sottovoce.pki.identities import pack_identity, throwaway_identity, unpack_identity
from sottovoce.transport import PqPolicy, self_test, server_context


@pytest.mark.parametrize(
    ("pq", "group"),
    [(PqPolicy.REQUIRE, "X25519MLKEM768"), (PqPolicy.PREFER, "X25519MLKEM768"), (PqPolicy.OFF, "X25519")],
)
def test_it_is_good_for_a_handshake_with_oneself(pq: PqPolicy, group: str) -> None:
    assert self_test(server_context(throwaway_identity(time.time()), pq=pq)) == group


def test_an_identity_that_was_packed_is_the_same_and_leaves_no_key_behind() -> None:
    identity = throwaway_identity(time.time())
    packed = pack_identity(identity)
    again = unpack_identity(packed)
    assert again.certificate == identity.certificate
    assert again.key.public_key() == identity.key.public_key()
    assert packed.key.is_wiped
