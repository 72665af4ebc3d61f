"""What the shells say to an operator: names of log events, and the set-up of logging.

Not the audit log: that one keeps evidence and may not lose a line; this one may.  No audio, no key and no local
variable of a traceback gets into a log line, whoever writes it (`fields`).
"""

from sottovoce.observe import events
from sottovoce.observe.counting import CallCounting, CallCounts, KeyCounting, Uncounted
from sottovoce.observe.logger import LogConfig, Logger, configure_logging, get_logger

__all__ = [
    "CallCounting",
    "CallCounts",
    "KeyCounting",
    "LogConfig",
    "Logger",
    "Uncounted",
    "configure_logging",
    "events",
    "get_logger",
]
