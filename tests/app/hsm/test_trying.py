"""What is made of trials: what differs from a claim, and whether the proxy can use the token."""

import pytest

from sottovoce.app.hsm import TokenTested, Trial
from sottovoce.hsm.trials import Outcome


def trial(outcome: Outcome, *, claim: str = "", value: str = "", needed: bool = False) -> Trial:
    return Trial(what="x", claim=claim, claim_was_run=True, outcome=outcome, value=value, reason="", is_needed=needed)


@pytest.mark.parametrize(
    ("tried", "differs", "is_well"),
    [
        (trial(Outcome.WORKS), False, True),
        (trial(Outcome.WORKS, claim="0x210A", value="0x210A"), False, True),
        (trial(Outcome.WORKS, claim="0x210A", value="0x210B"), True, True),
        (trial(Outcome.WORKS, claim="not told", value="0x210B"), False, True),
        (trial(Outcome.WORKS, claim="PIN of 4 to 255 bytes"), False, True),
        (trial(Outcome.ABSENT, claim="none"), False, True),
        (trial(Outcome.ABSENT, claim="0x210A"), True, True),
        (trial(Outcome.ABSENT, needed=True), False, False),
        (trial(Outcome.FAILS), False, False),
    ],
)
def test_a_trial(tried: Trial, *, differs: bool, is_well: bool) -> None:
    assert (tried.differs, tried.is_well) == (differs, is_well)
    token = TokenTested(name="a", vendor=None, health=None, trials=(trial(Outcome.WORKS), tried))
    assert token.is_well is is_well


def test_a_token_that_does_not_open_is_not_well() -> None:
    assert not TokenTested(name="a", vendor=None, health=None, trouble="no such token").is_well
