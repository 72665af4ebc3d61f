"""The token process is killed again and again while handshakes and re-authentications want signatures: none fails."""

from sottovoce.hsm import TokenEvent
from tests.app.directories import OpenToken
from tests.identity.kills import Storm


async def test_no_signature_fails_while_the_token_process_is_killed(
    opened: OpenToken, token_events: list[TokenEvent]
) -> None:
    async with opened() as token:
        outcome = await Storm(token, token_events, seed=1).run(kills=20, per_second=20)
        assert token.replacements == 20
    assert outcome.failures == []
    assert outcome.kills_in_flight >= 10
    assert outcome.signed >= 20
