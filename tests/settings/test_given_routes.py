import tomllib

import pytest

from sottovoce.settings import (
    Configuration,
    ConfigurationInvalid,
    GivenRoute,
    build,
    given_routes,
    profile_text,
    routes_text,
)

_WORDS = (
    "bot=ws://127.0.0.1:9000", "ivr.2=twilio+wss://bot.example.com/media?a=b", "pbx=audiosocket+tcp://127.0.0.1:9092",
    "one=mux+unix:/run/bot.sock",
)  # fmt: skip


def test_words_become_routes() -> None:
    routes = given_routes(_WORDS)
    assert routes == (
        GivenRoute("bot", "raw", "ws://127.0.0.1:9000"),
        GivenRoute("ivr.2", "twilio", "wss://bot.example.com/media?a=b"),
        GivenRoute("pbx", "audiosocket", "tcp://127.0.0.1:9092"),
        GivenRoute("one", "mux", "unix:/run/bot.sock"),
    )
    assert [each.port for each in routes] == [9000, 443, 9092, 0]
    assert given_routes(()) == ()


@pytest.mark.parametrize("profile", ["development", "production"])
def test_the_text_is_a_configuration_with_these_routes(profile: str) -> None:
    text = profile_text(profile, 8443, ("localhost",)) + routes_text(given_routes(_WORDS))
    configuration: Configuration = build(tomllib.loads(text))
    assert set(configuration.routes) == {"echo", "bot", "ivr.2", "pbx", "one"}
    assert configuration.routes["ivr.2"].adapter == "twilio"
    assert configuration.routes["bot"].url == "ws://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bot=tcp://127.0.0.1:1",), "is no WebSocket URL"),
        (("bot=audiosocket+tcp://127.0.0.1",), "has no port"),
        (("bot=unix:/run/bot.sock",), "is no WebSocket URL"),
        (("bot=mux+unix:bot.sock",), "names no socket"),
        (("bot",), "--route bot: no backend's URL is given; write NAME=ws://HOST:PORT/"),
        (("bot=http://127.0.0.1",), "no backend's URL"),
        (("b\not=",), "--route b?ot: no"),
        (("echo=ws://127.0.0.1:9000",), "one of this name already"),
        (("bot=ws://127.0.0.1:1", "bot=ws://127.0.0.1:2"), "one of this name already"),
        (("bot=smoke+ws://127.0.0.1:1",), "there is no 'smoke'"),
        (("bot=ws://192.0.2.1:1",), "would send audio unencrypted"),
        (("b/t=ws://127.0.0.1:1",), "its name stands in URLs"),
        (('bot=ws://127.0.0.1:1/"\n[routes.x]',), "cannot be printed"),
        (("bot=ws://127.0.0.1:99999",), "is no URL"),
    ],
)
def test_words_that_are_none(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        given_routes(words)
    assert said in str(caught.value)
