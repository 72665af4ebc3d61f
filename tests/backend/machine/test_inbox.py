from sottovoce.backend.items import Audio, Dtmf, Item
from sottovoce.backend.machine.inbox import MAX_AUDIO_FRAMES, MAX_OTHER_ITEMS, Inbox

KEY = Dtmf(1, 100)


def test_full_it_drops_the_oldest_audio_and_says_how_much_is_missing() -> None:
    inbox = Inbox()
    inbox.put(KEY)
    inbox.put(Audio(b"lost", lost_before=3))
    for number in range(MAX_AUDIO_FRAMES + 1):
        inbox.put(Audio(bytes([number % 256]), lost_before=1))
    taken: list[Item] = list(iter(inbox.take, None))
    assert len(taken) == MAX_AUDIO_FRAMES + 1
    assert taken[:3] == [KEY, Audio(b"\1", lost_before=7), Audio(b"\2", lost_before=1)]
    assert inbox.dropped == 2


def test_the_rest_is_kept_and_says_when_it_is_much() -> None:
    inbox = Inbox()
    for _ in range(MAX_OTHER_ITEMS):
        assert not inbox.is_full
        inbox.put(KEY)
    assert inbox.is_full
    inbox.take()
    assert not inbox.is_full
    assert inbox.dropped == 0
