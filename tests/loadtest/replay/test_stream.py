"""What comes back is held against what was said: the same bytes, in the same order, each once."""

import select
import socket
from typing import Any

import pytest

from loadtest.replay.book import Book
from loadtest.replay.streams import Endpoint, Stream, VoiceStream
from sottovoce.transport import HANDSHAKE_SECONDS

TAILS = [b"one", b"two", b"three"]


class Spoken(Stream):
    """A session without a network."""

    __slots__ = ("said",)

    def __init__(self, session: int, book: Book) -> None:
        super().__init__(session, book.routes[0], book, TAILS)
        self.said: list[bytes] = []

    def mind(self, now: float) -> None:
        raise NotImplementedError

    def _greet(self, now: float) -> None:
        raise NotImplementedError

    def _take(self, data: bytes, now: float) -> None:
        raise NotImplementedError

    def _say(self, frame: bytes, now: float, turn: int) -> None:
        self.said.append(frame)

    def _say_goodbye(self, now: float) -> None:
        raise NotImplementedError

    def hear(self, *places: int) -> None:
        for place in places:
            self._heard(self.said[place], 200.0)


@pytest.fixture
def book() -> Book:
    book = Book([("wss://a/echo", "")])
    book.began = 0.0
    return book


@pytest.fixture
def stream(book: Book) -> Spoken:
    stream = Spoken(3, book)
    for number in range(6):
        assert stream.offer(100.0 + number, 100.0 + number)
    return stream


def figures(book: Book) -> tuple[int, int]:
    return book.carried, book.routes[0].wrong


def test_frames_say_the_recording_in_turn_behind_a_number_of_their_own(stream: Spoken) -> None:
    assert [frame[4:] for frame in stream.said] == TAILS * 2
    assert len({frame[:4] for frame in stream.said}) == 6


def test_neighbours_have_other_numbers(book: Book) -> None:
    said = set()
    for session in range(50):
        stream = Spoken(session, book)
        for number in range(20):
            stream.offer(100.0 + number, 100.0)
        said |= set(stream.said)
    assert len(said) == 50 * 20


def test_all_back_in_order(book: Book, stream: Spoken) -> None:
    stream.hear(*range(6))
    assert figures(book) == (6, 0)
    assert stream.in_flight == 0


def test_a_frame_that_is_missing_does_not_shift_the_others(book: Book, stream: Spoken) -> None:
    stream.hear(0, 2, 3, 4, 5)
    assert figures(book) == (5, 0)
    assert sorted(book.routes[0].latency().counts) == [
        pytest.approx(int(us), rel=0.001) for us in (95e6, 96e6, 97e6, 98e6, 100e6)
    ]


def test_out_of_order_is_wrong(book: Book, stream: Spoken) -> None:
    stream.hear(1, 0, 2)
    assert figures(book) == (2, 1)


def test_twice_is_wrong(book: Book, stream: Spoken) -> None:
    stream.hear(0, 0, 1)
    assert figures(book) == (2, 1)


def test_other_bytes_are_wrong_and_the_frame_stays_lost(book: Book, stream: Spoken) -> None:
    stream._heard(stream.said[0][:-1] + b"!", 200.0)
    assert figures(book) == (0, 1)
    stream.hear(1)
    assert figures(book) == (1, 1)


def test_what_was_never_said_is_wrong(book: Book) -> None:
    stream = Spoken(1, book)
    stream._heard(b"hello", 200.0)
    assert figures(book) == (0, 1)


def test_what_never_comes_back_is_not_kept_for_ever(book: Book) -> None:
    stream = Spoken(1, book)
    for number in range(3000):
        stream.offer(float(number), 0.0)
    assert stream.in_flight == 1000


def test_a_session_that_is_over_says_nothing(stream: Spoken) -> None:
    stream.is_over = True
    assert not stream.offer(110.0, 110.0)
    stream.on_ready(select.EPOLLIN, 110.0)
    assert len(stream.said) == 6


def test_a_host_that_answers_nothing_at_all_is_given_up_in_time(book: Book) -> None:
    unused: Any = None
    with socket.socket() as full, select.epoll() as poll:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(3)]
        for each in waiting:
            each.connect_ex(full.getsockname())
        call = VoiceStream(0, book.routes[0], book, TAILS, unused)
        call.connect(Endpoint("a:1", socket.AF_INET, full.getsockname()), poll, 100.0)
        call.mind(100.0 + HANDSHAKE_SECONDS)
        assert not call.is_over
        call.mind(100.1 + HANDSHAKE_SECONDS)
        assert call.is_over
        for each in waiting:
            each.close()
    assert book.routes[0].reasons == {"cannot reach a:1: no answer in 10 s": 1}
