"""Protocol §9: the session profiles, by name, and a session under each."""

import pytest

from sottovoce.primitives import Suite
from sottovoce.session import Established, ServerConfig, SessionProfile
from tests.session.dialogue import Pair, client_config, make_client, make_server

FROM_THE_TEXT = {
    "voice": (0x0001, 300, 1_000),
    "data": (0x0101, 3_600, 10_000),
    "post-quantum": (0x0101, 1_800, 5_000),
}


@pytest.mark.protocol("P9.33")
@pytest.mark.parametrize("name", FROM_THE_TEXT)
def test_a_profile_is_what_the_text_says_and_a_session_has_it(name: str) -> None:
    profile = SessionProfile(name)
    suite, epoch_seconds, messages_per_key = FROM_THE_TEXT[name]
    assert (profile.suite, profile.epoch_seconds, profile.messages_per_key) == (suite, epoch_seconds, messages_per_key)
    config = profile.applied_to(ServerConfig(padding=0, reauthenticate_every=3))
    assert (config.padding, config.reauthenticate_every) == (0, 3)
    pair = Pair(make_client(client_config(suites=tuple(Suite)[:3])), make_server(config)).run()
    (established,) = (event for event in pair.client_events if isinstance(event, Established))
    assert (established.suite, established.epoch_seconds, established.messages_per_key) == FROM_THE_TEXT[name]


@pytest.mark.protocol("P9.33")
def test_there_are_no_others() -> None:
    assert set(FROM_THE_TEXT) == {profile.value for profile in SessionProfile}
