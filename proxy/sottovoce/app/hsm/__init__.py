"""What an operator does with the tokens of a directory: looks at them, tries them, keeps the keys in them."""

from sottovoce.app.hsm.listing import Claim, TokenListed, TokensListed, claims_of, list_tokens
from sottovoce.app.hsm.opening import TokensRefused
from sottovoce.app.hsm.trying import TokenTested, Trial, try_tokens

__all__ = [
    "Claim",
    "TokenListed",
    "TokenTested",
    "TokensListed",
    "TokensRefused",
    "Trial",
    "claims_of",
    "list_tokens",
    "try_tokens",
]
