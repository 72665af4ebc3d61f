from sottovoce.client import Audio


def test_audio_does_not_show_what_is_said() -> None:
    assert repr(Audio(b"hunter2", lost_before=3)) == "Audio(7 bytes, 3 lost before)"
    assert repr([Audio(b"hunter2")]) == "[Audio(7 bytes)]"
