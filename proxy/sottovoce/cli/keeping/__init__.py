"""Commands that keep a directory good for years."""
