import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.audit import Record, format_event_line
from sottovoce.audit.read import _decode
from tests.audit.examples import make_lines

EXPECTED = """\
2026-11-24 19:50:10.123      0  key generated             key=serving algorithm=ecdsa_secp384r1_sha384 token=sottovoce sha256=HASH
2026-11-24 19:50:10.123      1  token started             token=sottovoce pid=7 node=""
2026-11-24 19:50:10.123      2  call refused              code=4401 reason="\\"leaf\\":\\"\\u001b[2J}" client=[::1]:5060
2026-11-24 19:50:10.123      3  call ended                session=SESSION code=1000 reason="" side=client truncated=false epochs=0 frames_received=50 frames_sent=0 frames_lost=0
2026-11-24 19:50:10.123      4  token started             token="caf\\u00e9" pid=8 node=""
""".replace("HASH", "ab" * 32).replace("SESSION", "9f" * 16)  # noqa: E501  lines as they are printed


def test_records_as_lines_for_people() -> None:
    shown = [format_event_line(_decode(line)) for line in make_lines()]
    assert "".join(f"{line}\n" for line in shown) == EXPECTED


def test_lists_and_nothing() -> None:
    record = Record(
        0, "2026-11-24T19:50:10.123456Z", "certificate_issued", "", "", {"names": ["a.b", "c d"], "x": None}
    )
    assert format_event_line(record).endswith('certificate issued        names=a.b,"c d" x=null')


@given(st.text(), st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_nothing_in_a_record_steers_a_terminal(time: str, event: str, key: str, fields: dict[str, object]) -> None:
    record = Record(0, time, event, "", "", msgspec.convert(fields | {key: 1.5}, dict[str, object]))
    assert format_event_line(record).isascii()
    assert format_event_line(record).isprintable()
