import pytest
import trio
from trio.testing import MockClock

from sottovoce.admin.web.scrapes import OPENMETRICS, REST_SECONDS, TEXT, Scrapes, format_of_untrusted
from tests.admin.listening import ask, listening


class Counted:
    """An Exposition that tells when it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.error: Exception | None = None

    def exposition(self, accept: str) -> tuple[bytes, str]:
        if self.error is not None:
            raise self.error
        self.asked.append((trio.current_time(), accept))
        return str(len(self.asked)).encode(), accept


async def test_who_asks_at_once_is_given_one_exposition_and_who_asks_after_the_next(autojump_clock: MockClock) -> None:
    del autojump_clock
    began, exposition = trio.current_time(), Counted()
    scrapes = Scrapes(exposition)
    given: list[bytes] = []

    async def one() -> None:
        given.append((await scrapes.scrape(""))[0])

    await one()
    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(one)
    assert given == [b"1"] + [b"2"] * 30
    await one()
    assert [at - began for at, _ in exposition.asked] == pytest.approx([0, REST_SECONDS, 2 * REST_SECONDS])


async def test_nobody_is_given_what_is_older_than_his_question(autojump_clock: MockClock) -> None:
    del autojump_clock
    scrapes = Scrapes(Counted())
    assert await scrapes.scrape("") == (b"1", TEXT)
    await trio.sleep(10 * REST_SECONDS)
    assert await scrapes.scrape("") == (b"2", TEXT)
    assert await scrapes.scrape(OPENMETRICS) == (b"3", OPENMETRICS)


async def test_one_that_fails_leaves_the_next_as_it_was(autojump_clock: MockClock) -> None:
    del autojump_clock
    exposition = Counted()
    scrapes = Scrapes(exposition)
    exposition.error = RuntimeError("planted")
    with pytest.raises(RuntimeError, match="planted"):
        await scrapes.scrape("")
    exposition.error = None
    assert await scrapes.scrape("") == (b"1", TEXT)


async def test_one_who_leaves_while_he_waits_holds_up_nobody(autojump_clock: MockClock) -> None:
    del autojump_clock
    scrapes = Scrapes(Counted())
    await scrapes.scrape("")
    with trio.move_on_after(REST_SECONDS / 2) as limit:
        await scrapes.scrape("")
    assert limit.cancelled_caught
    assert await scrapes.scrape("") == (b"2", TEXT)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1,application/openmetrics-text; q=0.5;version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=abc", TEXT),
        ("application/openmetrics-text;version=\u00b2", TEXT),
        ("text/plain;version=x", TEXT),
        (",;=,;;,", TEXT),
    ],
)
def test_of_what_is_accepted_the_first_of_our_formats_is_taken(accept: str, wanted: str) -> None:
    assert format_of_untrusted(accept) == wanted


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=x", "text/plain;version=\u00b2", "\u00ff"])
async def test_words_that_make_no_sense_reach_no_library(accept: str) -> None:
    async with listening() as admin:
        found = await ask(admin, "/metrics", more=f"Accept: {accept}\r\n")
        assert (found.status, admin.standing.accepted, admin.crashes) == (200, [TEXT], [])
