"""The vendor's documented messages, in `tests/vectors/twilio`, held against what the adapter writes and reads."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
import pytest

from sottovoce.relay import BackendMisbehaved, TwilioOptions
from sottovoce.relay.twilio.messages import ClearMessage, MarkMessage, MediaMessage, decode_untrusted
from tests.relay.calls import END, START
from tests.relay.twilio.stream import FROM_BOT, SCHEMA, TO_BOT, Streaming, mark
from tests.vector_report import VectorRun

RunVectors = Callable[[str], VectorRun]
ACCOUNT = "ACa0a1a2a3a4a5a6a7a8a9aaabacadaeaf"


def written() -> dict[str, dict[str, Any]]:
    """The first of each message in a call like that of the examples, which has every one of them."""
    start = msgspec.structs.replace(START, metadata=b'{"language": "en", "tries": 3}')
    streaming = Streaming(start, TwilioOptions(account_sid=ACCOUNT, parameters={"queue": "billing"}))
    silence = b"\xff" * 160
    streaming.say(b"\x7f" * 160)
    streaming.say(silence)
    streaming.put(streaming.dialect.dtmf(11, 100))
    streaming.hear(mark("greeting ends"))
    streaming.put(streaming.dialect.mark_played("1:greeting ends"))
    streaming.put(streaming.dialect.stop(END, None))  # type: ignore[arg-type]  # not looked at
    return {text["event"]: text for text in streaming.texts}


def order_of(value: object) -> object:
    """Members' names in their order, all the way down."""
    if isinstance(value, dict):
        return [(name, order_of(member)) for name, member in value.items()]
    return [order_of(member) for member in value] if isinstance(value, list) else None


def test_what_is_written(vector_run: RunVectors) -> None:
    ours = written()
    with vector_run("twilio/to-bot.json") as run:
        theirs = run.load()["messages"]
        assert list(ours) == list(theirs)
        for event, example in theirs.items():
            message = example["message"]
            TO_BOT.validate(message)
            run.check(event, ours[event] == message and order_of(ours[event]) == order_of(message), positive=True)
            for wrong in spoilt(message):
                run.check((event, wrong), not TO_BOT.is_valid(wrong), positive=False)


def spoilt(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The message without each of its members, with one more, and with numbers for texts: none may pass the schema."""
    found = [{name: value for name, value in message.items() if name != left_out} for left_out in message]
    found += [message | {"more": 1}]
    found += [message | {name: 5} for name, value in message.items() if isinstance(value, str)]
    for name, inner in message.items():
        if isinstance(inner, dict) and name != "customParameters":  # which may be any
            found += [message | {name: wrong} for wrong in spoilt(inner)]
    return found


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_is_read(vector_run: RunVectors) -> None:
    with vector_run("twilio/from-bot.json") as run:
        file = run.load()
        stream = file["stream"]
        for case in file["taken"]:
            FROM_BOT.validate(case["message"])
            read = decode_untrusted(json.dumps(case["message"]), stream)
            match case:
                case {"mulaw": mulaw}:
                    right = read == MediaMessage(bytes.fromhex(mulaw))
                case {"mark": name}:
                    right = read == MarkMessage(name)
                case _:
                    right = read == ClearMessage()
            run.check(case["name"], right, positive=True)
        for case in file["ignored"]:
            assert not FROM_BOT.is_valid(case["message"])
            run.check(case["name"], decode_untrusted(json.dumps(case["message"]), stream) is None, positive=True)
        for case in file["refused"]:
            text = case.get("text") or json.dumps(case["message"])
            with pytest.raises(BackendMisbehaved) as caught:
                decode_untrusted(text, stream)
            run.check(case["name"], caught.value.fault == case["fault"], positive=False)
