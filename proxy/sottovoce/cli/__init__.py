"""The commands.  A command's module is imported when it is run: `--help` needs neither Trio nor OpenSSL nor rich."""

from sottovoce.cli.main import main

__all__ = ["main"]
