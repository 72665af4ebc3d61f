"""Keys, nonces and whole records against the traces of RFC 8448."""

from collections.abc import Callable

import pytest

from sottovoce.primitives import Secret, tls13_expand
from sottovoce.transport.records import SUITES, RecordCore, Traffic
from sottovoce.transport.records.keys import TrafficKey, following
from tests.transport.records.forge import NAMES, Direction, expand
from tests.vector_report import VectorRun


def test_the_traces(vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("rfc8448/records.json") as run:
        trace = run.load()
        suite, ends = SUITES[trace["suite"]], ("client", "server")
        secrets = {end: bytes.fromhex(trace["secrets"][end]) for end in ends}
        for end in ends:
            secret = Secret(end, secrets[end])
            key = bytes(tls13_expand(secret, "key", suite.key_bytes).expose())
            iv = TrafficKey.of(suite, secret).iv.to_bytes(12)
            known = trace["keys"][end]
            run.check(f"keys of the {end}", (key.hex(), iv.hex()) == (known["key"], known["iv"]), positive=True)
        for case in trace["records"]:
            sender, other = case["from"], ends[case["from"] == "client"]

            def core(end: str, sent: int, peer: str) -> RecordCore:
                ours, theirs = (TrafficKey.of(suite, Secret(each, secrets[each])) for each in (end, peer))
                return RecordCore(Traffic(suite, ours, theirs, sent=sent), is_server=end == "server", pq="off")

            record, hears = bytes.fromhex(case["record"]), core(other, 0, sender)
            hears._rx_number = case["number"]
            says = core(sender, case["number"], other)
            if case["plaintext"] is not None:
                plaintext = bytes.fromhex(case["plaintext"])
                run.check(case["name"], hears.receive(record) == plaintext, positive=True)
                run.check(f"{case['name']}, sent", says.seal(plaintext) == record, positive=True)
            else:
                run.check(case["name"], hears.receive(record) == b"", positive=True)
                if hears.closed_by_peer:
                    says.close()
                    run.check(f"{case['name']}, sent", says.to_send() == record, positive=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_next_generation(name: str) -> None:
    suite = SUITES[name]
    secret = Secret("secret", bytes(range(suite.secret_bytes)))
    known, after = Direction(name, bytes(secret.expose())), following(suite, secret)
    known.update()
    assert after.secret.expose() == known.secret
    assert secret.is_wiped
    assert after.iv.to_bytes(12) == expand(known.secret, b"iv", 12)


def test_a_key_shows_nothing_of_itself() -> None:
    key = TrafficKey.of(SUITES["TLS_AES_256_GCM_SHA384"], Secret("of a connection", bytes(range(48))))
    assert repr(key) == f"{key}" == "TrafficKey(...)"
    assert str(key.iv) not in repr((key, [key]))
