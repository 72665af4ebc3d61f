"""What an operator tells a running proxy to do, over a Unix socket beside the ready file.

    orders   what can be said      listening   the proxy's end      asking   the commands' end      peers   who is there

The admin address tells and changes nothing; this changes, and is closed to everybody but the proxy's own user and root:
by the socket's mode, and by who the kernel says has connected.  One order a connection.
"""

from sottovoce.app.control.asking import Found, NotThere, Unordered, find_admin, order
from sottovoce.app.control.listening import Ordered, serve_control
from sottovoce.app.control.orders import Done, Order, SealState, socket_path

__all__ = [
    "Done",
    "Found",
    "NotThere",
    "Order",
    "Ordered",
    "SealState",
    "Unordered",
    "find_admin",
    "order",
    "serve_control",
    "socket_path",
]
