from sottovoce.client.inbox import MAX_OTHER_ITEMS, Inbox
from sottovoce.client.items import Audio, Clear, Item, Mark


def _all(inbox: Inbox) -> list[Item]:
    return list(iter(inbox.take, None))


def test_items_come_out_in_order() -> None:
    inbox = Inbox()
    items: list[Item] = [Audio(b"1"), Mark("a"), Audio(b"2"), Clear()]
    for item in items:
        inbox.put(item)
    assert _all(inbox) == items
    assert inbox.take() is None
    assert inbox.dropped == 0


def test_full_it_drops_the_oldest_audio_and_nothing_else() -> None:
    inbox = Inbox(max_audio=2)
    for item in (Mark("a"), Audio(b"1"), Mark("b"), Audio(b"2"), Audio(b"3"), Mark("c"), Audio(b"4")):
        inbox.put(item)
    assert _all(inbox) == [Mark("a"), Mark("b"), Audio(b"3", lost_before=2), Mark("c"), Audio(b"4")]
    assert inbox.dropped == 2


def test_what_is_lost_is_said_once_and_anew() -> None:
    inbox = Inbox(max_audio=1)
    for payload in (b"1", b"2", b"3"):
        inbox.put(Audio(payload))
    assert inbox.take() == Audio(b"3", lost_before=2)
    inbox.put(Audio(b"4"))
    assert inbox.take() == Audio(b"4")
    inbox.put(Audio(b"5"))
    inbox.put(Audio(b"6"))
    assert inbox.take() == Audio(b"6", lost_before=1)
    assert inbox.dropped == 3


def test_it_overflows_by_what_cannot_be_dropped() -> None:
    inbox = Inbox(max_audio=1)
    for number in range(MAX_OTHER_ITEMS):
        inbox.put(Audio(b""))
        inbox.put(Mark(str(number)))
    assert not inbox.overflows
    inbox.put(Clear())
    assert inbox.overflows
