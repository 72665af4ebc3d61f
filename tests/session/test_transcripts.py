"""Whole sessions that were recorded once (tests/vectors/transcripts) go the same way today, byte for byte."""

import copy
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from sottovoce.primitives import Suite
from sottovoce.wire import FrameType
from tests.session.tapes import Json, agrees
from tests.session.transcripts import replay
from tests.vector_report import VECTORS, VectorRun

TRANSCRIPTS = sorted((VECTORS / "transcripts").glob("*.json.xz"))


def read(path: Path) -> Json:
    return json.loads(lzma.decompress(path.read_bytes()))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.name.partition(".")[0])
def test_it_replays(path: Path) -> None:
    stage = replay(read(path))
    assert stage.client.has_ended
    assert stage.server.has_ended


def test_a_changed_transcript_does_not(vector_run: Callable[[str], VectorRun]) -> None:
    """In each one step's outcome is changed: the comparison sees it."""
    with vector_run("transcripts/*.json.xz") as run:
        for path in TRANSCRIPTS:
            script = read(path)
            run.check(path.stem, bool(script["steps"]), positive=True)
            changed = copy.deepcopy(script)
            step = next(step for step in changed["steps"] if step["do"] == "to_send" and step["gives"])
            step["gives"][0] = step["gives"][0][:-8] + "AAAAAAA="
            try:
                replay(changed)
            except AssertionError:
                run.check(f"{path.stem}, changed", True, positive=False)  # noqa: FBT003  it was seen
            else:
                run.check(f"{path.stem}, changed", False, positive=False)  # noqa: FBT003  it was not


def test_together_they_show_every_suite_and_every_frame() -> None:
    whole = [read(path) for path in TRANSCRIPTS]
    suites = {
        event["suite"]
        for script in whole
        for step in script["steps"]
        if isinstance(step["gives"], list)
        for event in step["gives"]
        if isinstance(event, dict) and event["is"] == "Established"
    }
    assert suites == set(Suite)
    said = {step["what"] for script in whole for step in script["steps"] if step["do"] == "send"}
    assert said >= {kind.name.lower() for kind in FrameType} & {
        "dtmf", "ping", "json", "cover", "mark", "clear", "mute", "data"
    }  # fmt: skip


def test_an_event_may_learn_more_and_must_not_lose_anything() -> None:
    assert agrees({"is": "Mark", "name": "a", "more": 1}, {"is": "Mark", "name": "a"})
    assert not agrees({"is": "Mark"}, {"is": "Mark", "name": "a"})
    assert not agrees([1, 2], [1])
    assert not agrees("a", "b")
