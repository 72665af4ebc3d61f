"""What a bot is told of the operator's and the client's, and what is refused in a configuration."""

import json

import pytest

from sottovoce.relay import RouteConfig, TwilioOptions, build_route
from sottovoce.relay.twilio import CODECS
from sottovoce.relay.twilio.options import IDENTITY_PARAMETER, MAX_PARAMETERS, account_sid, custom_parameters
from sottovoce.wire import Codec
from tests.relay.twilio.stream import starting


def parameters(metadata: object = None, identity: str | None = None, **configured: str) -> dict[str, str]:
    start = starting(metadata=None if metadata is None else json.dumps(metadata).encode(), identity=identity)
    return custom_parameters(TwilioOptions(parameters=configured), start)


def test_strings_of_the_metadata_become_parameters() -> None:
    metadata = {"a": "1", "b": 2, "c": {"d": "e"}, "f": None, "g": "é\n", "h": ["x"], "": "no name"}
    assert parameters(metadata) == {"a": "1", "g": "é\n"}
    assert parameters() == {}


def test_who_calls_is_said_by_the_proxy_alone() -> None:
    assert parameters({IDENTITY_PARAMETER: "eve"}) == {}
    assert parameters({"SottoVoceIdentity": "eve", "sottovoce": "x"}, "alice") == {IDENTITY_PARAMETER: "alice"}


def test_the_operator_has_the_last_word() -> None:
    assert parameters({"queue": "vip", "a": "b"}, queue="billing") == {"queue": "billing", "a": "b"}


def test_parameters_are_bounded() -> None:
    assert parameters({"x" * 250: "y" * 250, "x" * 249: "y" * 250}) == {"x" * 249: "y" * 250}
    assert len(parameters({str(number): "x" for number in range(200)})) == MAX_PARAMETERS


def test_an_account_is_made_of_the_route() -> None:
    assert account_sid(TwilioOptions(), "a") == account_sid(TwilioOptions(), "a") != account_sid(TwilioOptions(), "b")
    given = "AC" + "0" * 32
    assert account_sid(TwilioOptions(account_sid=given), "a") == given


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"account_sid": "AC12"}, "account_sid: "),
        ({"account_sid": "MZ" + "0" * 32}, "account_sid: "),
        ({"parameters": {"": "x"}}, "parameters: '' is empty"),
        ({"parameters": {"x": "y" * 499}}, "parameters: 'x' is empty or too long"),
        ({"parameters": {"sottovoceFoo": "y"}}, "a name that the proxy keeps"),
        ({"parameters": {str(number): "x" for number in range(65)}}, "parameters: 65 are too many"),
    ],
)
def test_options_that_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TwilioOptions(**options)  # type: ignore[arg-type]  # that is the point


def test_the_route_offers_what_can_be_converted() -> None:
    route = build_route("bot", RouteConfig(adapter="twilio", url="ws://127.0.0.1:9000/"))
    assert route.codecs == CODECS == {Codec.PCMU_8K, Codec.PCMA_8K, Codec.PCM16_8K}


def test_the_network_is_for_tls_or_for_those_who_said_so() -> None:
    with pytest.raises(ValueError, match="unencrypted"):
        RouteConfig(adapter="twilio", url="ws://203.0.113.1/")
    with pytest.raises(ValueError, match="twilio needs a backend"):
        RouteConfig(adapter="twilio")
