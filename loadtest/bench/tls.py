"""What post-quantum key agreement adds to the server's share of a TLS handshake.

Whole handshakes in memory, the server under `prefer`, in turns with a client that insists on X25519MLKEM768 and with
one that offers X25519.  Only the server's steps are counted: from its connection's making to what it sends after the
client's Finished.  Both sides of the ratio have the P-256 signature, the records and Python's part in them.
"""

import datetime as dt
import gc
import statistics
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from loadtest.bench.figure import Figure
from sottovoce.transport import PqPolicy, TlsContext, TlsCore, TlsIdentity, client_context, server_context

HANDSHAKES = 150
ROUNDS = 7
HYBRID_LIMIT = 1.5

_HOST = "localhost"


def measure() -> list[Figure]:
    """Give the ratio of the two, the middle one of several rounds."""
    identity = _identity()
    server = server_context(identity, pq=PqPolicy.PREFER)
    ca_pem = identity.certificate.public_bytes(Encoding.PEM)
    hybrid, classical = (client_context(_HOST, pq=policy, ca_pem=ca_pem) for policy in (PqPolicy.REQUIRE, PqPolicy.OFF))
    turns = [
        (_server_seconds(server, hybrid, "X25519MLKEM768"), _server_seconds(server, classical, "X25519"))
        for _ in range(ROUNDS + 1)
    ][1:]  # the first only warms up
    ratio = statistics.median(subject / yardstick for subject, yardstick in turns)
    subject, yardstick = (statistics.median(column) / HANDSHAKES * 1e6 for column in zip(*turns, strict=True))
    detail = f"{subject:.0f} to {yardstick:.0f} µs of the server each, {HANDSHAKES} a turn, {ROUNDS} rounds"
    return [Figure("TLS handshake, X25519MLKEM768 to X25519", ratio, HYBRID_LIMIT, "x", detail)]


def _server_seconds(server: TlsContext, client: TlsContext, group: str) -> float:
    """Shake hands many times; give the processor time of the server's steps."""
    gc.collect()
    gc.disable()
    try:
        return sum(_one_handshake(server, client, group) for _ in range(HANDSHAKES)) / 1e9
    finally:
        gc.enable()


def _one_handshake(server: TlsContext, client: TlsContext, group: str) -> int:
    """Shake hands; give the server's nanoseconds.  Raises if another group was agreed on than `group`."""
    caller = TlsCore(client)
    hello = caller.to_send()
    start = time.process_time_ns()
    called = TlsCore(server)
    called.receive(hello)
    flight = called.to_send()
    spent = time.process_time_ns() - start
    caller.receive(flight)
    finished = caller.to_send()
    start = time.process_time_ns()
    called.receive(finished)
    called.to_send()
    spent += time.process_time_ns() - start
    if called.group != group:
        raise RuntimeError(f"the handshake to be measured agreed on {called.group} and not on {group}")
    return spent


def _identity() -> TlsIdentity:
    """Make a P-256 leaf as the proxy has, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "measured")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return TlsIdentity(certificate, key)
