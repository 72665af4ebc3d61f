"""Samples that run as they are printed, and the command that prints them."""
