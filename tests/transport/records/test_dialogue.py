"""Our records against OpenSSL's, in both roles and with each suite: a handshake, then any talk."""

import hypothesis.strategies as st
from hypothesis import given, settings

from sottovoce.transport import RecordLayer, TlsCore
from sottovoce.transport.openssl import OpenSslRecords
from sottovoce.transport.records import RecordCore
from tests.transport.ends import Cut
from tests.transport.records.ends import mixed
from tests.transport.records.forge import NAMES
from tests.transport.test_tls import cuts

OWN, OPENSSL = RecordLayer.OWN, RecordLayer.OPENSSL

Step = tuple[int, int | str, bool]
"""Which end; how much it says, or that it rest, that both keys be changed, or its own; and whether the other hears it
at once."""


def steps() -> st.SearchStrategy[list[Step]]:
    sizes: st.SearchStrategy[int | str] = st.sampled_from([0, 1, 150, 1_460, 1_461, 16_384, 16_385, 40_000])
    what = sizes | st.sampled_from(["both keys", "own key", "rest", "rest"])
    return st.lists(st.tuples(st.integers(0, 1), what, st.booleans()), max_size=24)


class Talk:
    """Two ends, what is on the way to each, and what each has said and heard."""

    def __init__(self, ends: tuple[TlsCore, TlsCore], cut: Cut) -> None:
        self.ends = ends
        self._cut = cut
        self._said = [bytearray(), bytearray()]
        self._heard = [bytearray(), bytearray()]
        self._on_the_way = [b"", b""]

    def do(self, step: Step) -> None:
        """Have one end do something."""
        end, what, at_once = step
        core = self.ends[end]
        if isinstance(what, int):
            said = bytes([len(self._said[end]) & 0xFF]) * what
            self._said[end] += said
            self._on_the_way[1 - end] += core.seal(said)
        elif isinstance(core.records, RecordCore):
            if what == "rest":
                core.records.rest()
            elif what == "both keys":
                core.records._ask_for_update()  # which the other end answers, OpenSSL's too
            else:
                core.records._owe_update()
        if at_once:
            self.carry(1 - end)

    def carry(self, end: int) -> None:
        """Bring what is on the way."""
        data = self._on_the_way[end] + self.ends[1 - end].to_send()
        self._on_the_way[end] = b""
        for piece in self._cut(data):
            self._heard[end] += self.ends[end].receive(piece)

    def close(self) -> None:
        """Have both say that they have said all."""
        for end in (0, 1):
            self.carry(end)
            self.ends[1 - end].close()
            self.carry(end)
            self.ends[end].receive_eof()
            assert self.ends[end].closed_by_peer
            assert self._heard[end] == self._said[1 - end]


@settings(deadline=None)
@given(
    st.sampled_from(NAMES),
    st.sampled_from([(OWN, OPENSSL), (OPENSSL, OWN), (OWN, OWN)]),
    steps(),
    cuts(),
)
def test_any_talk(name: str, kinds: tuple[RecordLayer, RecordLayer], done: list[Step], cut: Cut) -> None:
    ends = mixed(name, *kinds)
    for end, kind in zip(ends, kinds, strict=True):
        assert isinstance(end.records, RecordCore if kind is OWN else OpenSslRecords)
        assert end.cipher == name
    talk = Talk(ends, cut)
    for step in done:
        talk.do(step)
    talk.close()


def test_keys_are_changed_from_both_sides() -> None:
    for kinds in ((OWN, OPENSSL), (OPENSSL, OWN)):
        talk = Talk(mixed(NAMES[0], *kinds), lambda data: [data])
        ours = kinds.index(OWN)
        records = talk.ends[ours].records
        assert isinstance(records, RecordCore)
        before = records._secret, records._rx_secret
        talk.do((ours, "both keys", True))
        talk.do((1 - ours, 150, True))
        talk.do((ours, 150, True))
        assert all(secret.is_wiped for secret in before)
        assert records._rx_number == 1  # and the first was OpenSSL's change of its key, under the key before
        talk.close()
