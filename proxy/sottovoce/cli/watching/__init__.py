"""Commands that ask a running proxy how it does."""
