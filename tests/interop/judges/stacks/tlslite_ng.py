"""A client with tlslite-ng, all of it Python: `tlslite.py PORT CA_FILE`; prints {"error", "heard", "group"}.

It checks no chain; the other stacks do.
"""

import json
import socket
import sys

from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import GroupName
from tlslite.errors import TLSError

port, _ = sys.argv[1:]
told = {"error": "", "heard": "", "group": ""}
settings = HandshakeSettings()
settings.eccCurves = ["x25519mlkem768"]
settings.keyShares = ["x25519mlkem768"]
try:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as plain:
        tls = TLSConnection(plain)
        tls.handshakeClientCert(settings=settings, serverName="localhost")
        told["group"] = str(GroupName.toStr(tls.ecdhCurve))
        tls.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told["heard"] = tls.read(max=4096).decode()
except (OSError, TLSError) as error:
    told["error"] = repr(error)
print(json.dumps(told))  # noqa: T201  its result
