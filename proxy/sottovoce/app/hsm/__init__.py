"""What an operator does with the tokens of a directory: looks at them, tries them, keeps the keys in them."""

from sottovoce.app.hsm.adding import TokenAdded, add_token
from sottovoce.app.hsm.benching import TokensMeasured, bench_tokens
from sottovoce.app.hsm.destroying import KeyEnded, destroy_key, refuse_own
from sottovoce.app.hsm.keys import KeyOnToken, KeySeen, KeysSeen, list_keys, show_key
from sottovoce.app.hsm.listing import Claim, TokenListed, TokensListed, claims_of, list_tokens
from sottovoce.app.hsm.opening import TokensRefused
from sottovoce.app.hsm.sealing import make_seal
from sottovoce.app.hsm.syncing import TokensSynced, sync_tokens
from sottovoce.app.hsm.trying import TokenTested, Trial, try_tokens

__all__ = [
    "Claim",
    "KeyEnded",
    "KeyOnToken",
    "KeySeen",
    "KeysSeen",
    "TokenAdded",
    "TokenListed",
    "TokenTested",
    "TokensListed",
    "TokensMeasured",
    "TokensRefused",
    "TokensSynced",
    "Trial",
    "add_token",
    "bench_tokens",
    "claims_of",
    "destroy_key",
    "list_keys",
    "list_tokens",
    "make_seal",
    "refuse_own",
    "show_key",
    "sync_tokens",
    "try_tokens",
]
