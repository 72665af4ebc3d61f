"""The vendor's documented messages, in `tests/vectors/audiosocket`, held against what the adapter writes and reads."""

from collections.abc import Callable

import jsonschema
import pytest

from sottovoce.relay import BackendMisbehaved
from tests.relay.audiosocket.socket import FROM_SERVER, SCHEMA, TO_SERVER, Speaking
from tests.relay.calls import END, START, STATISTICS
from tests.vector_report import VectorRun

RunVectors = Callable[[str], VectorRun]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_is_written(vector_run: RunVectors) -> None:
    speaking = Speaking()
    speaking.say(b"")
    speaking.put(speaking.dialect.dtmf(11, 100))
    speaking.put(speaking.dialect.stop(END, STATISTICS))  # type: ignore[arg-type]  # not looked at
    speaking.framing.close(1000)
    faulty = Speaking()
    faulty.framing.to_send()
    faulty.framing.close(1008)
    with vector_run("audiosocket/to-server.json") as run:
        file = run.load()
        assert START.session_id.hex() == file["session"]
        for ours, theirs in ((speaking, file["messages"]), (faulty, file["fault"])):
            run.check(theirs, ours.framing.to_send().hex() == "".join(each["bytes"] for each in theirs), positive=True)
            for each in theirs:
                run.check(each["name"], TO_SERVER.is_valid(each["message"]), positive=True)
        for wrong in file["wrong"]:
            run.check(wrong, not TO_SERVER.is_valid(wrong), positive=False)


def test_what_is_read(vector_run: RunVectors) -> None:
    with vector_run("audiosocket/from-server.json") as run:
        file = run.load()
        for case in file["taken"]:
            if "message" in case:
                FROM_SERVER.validate(case["message"])
            speaking = Speaking()
            speaking.hear(bytes.fromhex(case["bytes"]), ended="closed" in case["told"][1:])
            speaking.hear(b"", ended=case["bytes"] == "")
            speaking.run_until(1)
            what, value = case["told"]
            match what:
                case "audio":
                    right = speaking.given.hex() == value
                case "dtmf":
                    right = speaking.sink.told == [("dtmf", value, 100)]
                case _:
                    right = speaking.metered.hang_up == value and speaking.sink.told == []
            run.check(case["name"], right, positive=True)
        for case in file["ignored"]:
            speaking = Speaking()
            failures = speaking.hear(bytes.fromhex(case["bytes"]))
            run.check(case["name"], not speaking.sink.told and not failures, positive=True)
        for case in file["refused"]:
            run.check(case["name"], fault_of(bytes.fromhex(case["bytes"])) == case["fault"], positive=False)


def fault_of(data: bytes) -> str:
    speaking = Speaking()
    try:
        failed = bool(speaking.hear(data, ended=True))
    except BackendMisbehaved as fault:
        return fault.fault
    return "bad_framing" if failed else pytest.fail("it was taken")
