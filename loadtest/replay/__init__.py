"""Replays audio against a running proxy, open loop, and measures what becomes of each frame."""
