"""What HAProxy and nginx are told: TLS 1.3 with AES-256-GCM in front, a plain WebSocket behind, one core.  Pure.

Both get what makes them fast at this and nothing that would burden them: no access log, no tickets, no time limit that
a call could meet, one thread or worker.  The path's bytes are passed as they come.
"""

from pathlib import Path

import msgspec

from loadtest.peers.servers.certificates import PeerCertificate

_SPARE = 100


class Ports(msgspec.Struct, frozen=True):
    """On loopback."""

    front: int
    backend: int


def haproxy_configuration(ports: Ports, calls: int, certificate: PeerCertificate) -> str:
    """Give HAProxy's file; `haproxy -db -f FILE` runs it."""
    return f"""\
global
    nbthread 1
    maxconn {calls + _SPARE}
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384

defaults
    mode http
    timeout connect 5s
    timeout http-request 30s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h

frontend calls
    bind 127.0.0.1:{ports.front} ssl crt {certificate.both}
    default_backend echo

backend echo
    server echo 127.0.0.1:{ports.backend}
"""


def nginx_configuration(ports: Ports, calls: int, certificate: PeerCertificate, directory: Path) -> str:
    """Give nginx's file; `nginx -p DIRECTORY -e stderr -c FILE` runs it.  What it writes goes to `directory`."""
    temporary = "\n".join(
        f"    {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;

events {{
    worker_connections {2 * (calls + _SPARE)};
}}

http {{
    access_log off;
{temporary}

    server {{
        listen 127.0.0.1:{ports.front} ssl;
        ssl_certificate {certificate.chain};
        ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        ssl_session_tickets off;

        location / {{
            proxy_pass http://127.0.0.1:{ports.backend};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"""
