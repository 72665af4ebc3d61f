"""The vendor's documented events, in `tests/vectors/realtime`, held against what the adapter writes and reads."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema

from sottovoce.relay import BackendMisbehaved, RealtimeOptions
from tests.relay.realtime.server import FOLDER, SCHEMA, SPEECH, TO_SERVER, Conversing, created, delta
from tests.vector_report import VectorRun

RunVectors = Callable[[str], VectorRun]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_is_written(vector_run: RunVectors) -> None:
    with vector_run("realtime/to-server.json") as run:
        file = run.load()
        conversing = Conversing(options=RealtimeOptions(speaks_first=True), given=json.dumps(file["session"]).encode())
        conversing.say(b"")
        conversing.hear(created("resp_a1"))
        conversing.hear(delta(bytes(9_600), "item_b1", "resp_a1"))
        conversing.hear(SPEECH)
        for ours, theirs in zip(conversing.texts, file["messages"], strict=True):
            run.check(theirs["type"], ours == theirs, positive=True)
        given = json.dumps(file["beta_session"]).encode()
        (beta,) = Conversing(options=RealtimeOptions(dialect="beta"), given=given).texts
        run.check("beta", beta == file["beta"], positive=True)
        for wrong in file["wrong"]:
            run.check(wrong, not TO_SERVER.is_valid(wrong), positive=False)


def test_what_is_read(vector_run: RunVectors) -> None:
    with vector_run("realtime/from-server.json") as run:
        file = run.load()
        for case in (*file["events"], *file["beta"], *file["variants"]):
            message = case["message"]
            became = what_becomes_of(json.dumps(message), bytes.fromhex(file["pcm16"]))
            expected = "ignored" if message.get("delta") == "" else case["becomes"]
            run.check(case.get("name", message["type"]), became == expected, positive=True)
        for case in file["refused"]:
            became = what_becomes_of(case.get("text") or json.dumps(case["message"]), b"")
            run.check(case["name"], became == case["fault"], positive=False)


def what_becomes_of(text: str, pcm16: bytes) -> str:
    """Have it said in the midst of an answer, and see what has changed."""
    conversing = Conversing()
    conversing.hear(created("resp_0"))
    try:
        conversing.hear(text)
    except BackendMisbehaved as fault:
        return fault.fault
    conversing.run_until(1)
    if conversing.told("response.cancel"):
        return "broken in"
    if conversing.given:
        return "audio" if conversing.given == pcm16 else "other audio"
    conversing.hear(SPEECH)
    cancelled: list[Any] = [text["response_id"] for text in conversing.told("response.cancel")]
    return {"resp_0": "ignored", "resp_a1": "answering"}[cancelled[0]] if cancelled else "answered"


def test_every_event_is_there_once() -> None:
    file = json.loads((FOLDER / "from-server.json").read_text())
    types = [case["message"]["type"] for case in (*file["events"], *file["beta"])]
    assert len(types) == len(set(types)) == 46 + 6
