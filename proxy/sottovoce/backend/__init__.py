"""The library for backends: calls as an async iterator, over the `raw` contract (docs/backend-raw.md)."""
