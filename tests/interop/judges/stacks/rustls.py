"""A client with rustls: `rustls.py PORT CA_FILE`; prints {"error", "heard"}."""

import json
import socket
import sys

import rtls

port, ca_file = sys.argv[1:]
told = {"error": "", "heard": ""}
try:
    context = rtls.create_default_context(cafile=ca_file)
    with (
        socket.create_connection(("127.0.0.1", int(port)), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told["heard"] = tls.recv(4096).decode()
except (OSError, rtls.SSLError) as error:
    told["error"] = str(error)
print(json.dumps(told))  # noqa: T201  its result
