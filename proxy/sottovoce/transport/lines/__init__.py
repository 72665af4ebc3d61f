"""Connections whose bytes are pushed: no task, no await for a frame (facts of the data path: docs/decisions/0012)."""

from sottovoce.transport.lines.hub import current_hub
from sottovoce.transport.lines.line import TURN_BYTES, Line, LineUser, line_over
from sottovoce.transport.lines.timekeeper import Alarm
from sottovoce.transport.lines.tls import TlsLine

__all__ = ["TURN_BYTES", "Alarm", "Line", "LineUser", "TlsLine", "current_hub", "line_over"]
