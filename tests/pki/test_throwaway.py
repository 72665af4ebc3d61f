import time

import pytest

from sottovoce.pki.throwaway import throwaway_identity
from sottovoce.transport import PqPolicy, self_test, server_context


@pytest.mark.parametrize(
    ("pq", "group"),
    [(PqPolicy.REQUIRE, "X25519MLKEM768"), (PqPolicy.PREFER, "X25519MLKEM768"), (PqPolicy.OFF, "X25519")],
)
def test_it_is_good_for_a_handshake_with_oneself(pq: PqPolicy, group: str) -> None:
    assert self_test(server_context(throwaway_identity(time.time()), pq=pq)) == group
