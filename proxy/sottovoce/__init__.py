"""Sottovoce: a proxy that gives voice a sealed way in and its backends plaintext audio.  Imports nothing."""
