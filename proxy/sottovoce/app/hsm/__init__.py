"""What an operator does with the tokens of a directory: looks at them, tries them, keeps the keys in them."""

from sottovoce.app.hsm.listing import Claim, TokenListed, TokensListed, claims_of, list_tokens

__all__ = [
    "Claim",
    "TokenListed",
    "TokensListed",
    "claims_of",
    "list_tokens",
]
