"""What the audit log can hold.  Pure.

Each event is a frozen struct whose tag, in the field `event`, is its name in the file.  Fields are names, numbers and
public values; hashes, serial numbers and session ids are lower-case hexadecimal; times are Unix seconds.  Never a
secret, never audio, never what a caller said.
"""

from typing import Literal

import msgspec


def _tag(name: str) -> str:
    """Turn `CallStarted` into `call_started`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=_tag):
    """Something that happened, to be kept."""


class DirectoryInitialised(AuditEvent, frozen=True, kw_only=True):
    """`init` made an operator's directory."""

    profile: str


class ConfigurationLoaded(AuditEvent, frozen=True, kw_only=True):
    """The proxy starts or runs with this configuration from here on."""

    file: str
    sha256: str


class KeyGenerated(AuditEvent, frozen=True, kw_only=True):
    """A key was generated: inside a token, or sealed under a token's key."""

    key: str
    algorithm: str
    token: str
    sha256: str
    """Of its public key."""


class KeyCopied(AuditEvent, frozen=True, kw_only=True):
    """A key that several tokens share was wrapped in one of them and unwrapped in another."""

    key: str
    source: str
    token: str


class KeyDestroyed(AuditEvent, frozen=True, kw_only=True):
    """A key that a token held beside its own was destroyed there."""

    key: str
    token: str
    node: str = ""


class TicketKeyCreated(AuditEvent, frozen=True, kw_only=True):
    """A key for tickets was made in a token, wrapped there, and opened for the proxy's memory."""

    key: str
    """Its id, as the tickets name it."""
    token: str
    node: str = ""


class TicketKeyErased(AuditEvent, frozen=True, kw_only=True):
    """A key for tickets is gone, and none of its tickets opens any more."""

    key: str
    sealed: int
    """Tickets that were given out."""
    spent: int
    """Tickets that came back and were honoured."""


class AnchorCreated(AuditEvent, frozen=True, kw_only=True):
    """A further anchor was made: a key in the token and a sealed seed.  Nothing is signed under it yet."""

    anchor: str
    """Its id, which both public keys are hashed into."""
    key: str
    """The key's name in the token."""
    token: str


class AnchorSwitched(AuditEvent, frozen=True, kw_only=True):
    """Voice certificates are issued under another anchor from here on."""

    anchor: str
    previous: str


class AnchorRetired(AuditEvent, frozen=True, kw_only=True):
    """An anchor is no longer handed out, and its keys are destroyed."""

    anchor: str
    key: str
    token: str


class CertificateIssued(AuditEvent, frozen=True, kw_only=True):
    """A certificate was signed."""

    kind: Literal["root_ca", "issuing_ca", "tls_leaf", "voice"]
    serial: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    sha256: str
    """Of the certificate as it is sent."""
    anchor: str = ""
    """Of a voice certificate: the id of the anchor that signed it."""
    node: str = ""
    """Of a voice certificate: the token whose keys it is for; of a TLS certificate: the one that signed it."""


class TokenStarted(AuditEvent, frozen=True, kw_only=True):
    """A token process has opened its token and is ready to sign."""

    token: str
    pid: int
    node: str = ""
    """The token's name in the configuration, of which there may be several."""


class TokenLost(AuditEvent, frozen=True, kw_only=True):
    """A token process was ended or has ended; another takes its place."""

    token: str
    pid: int
    reason: str
    node: str = ""
    """Likewise."""


class HsmSealed(AuditEvent, frozen=True, kw_only=True):
    """The HSM cannot be used from here on: the proxy began without PINs, or they were taken from it."""

    reason: str


class HsmUnsealing(AuditEvent, frozen=True, kw_only=True):
    """A share was given that is of the seal's set; it takes `wanted` of them."""

    have: int
    wanted: int


class HsmUnsealed(AuditEvent, frozen=True, kw_only=True):
    """Enough shares were given: the HSM can be used from here on."""


class ShareRefused(AuditEvent, frozen=True, kw_only=True):
    """Something was given as a share and was not taken."""

    kind: str
    """What was wrong with it, as docs/operations.md names it."""


class RootSigned(AuditEvent, frozen=True, kw_only=True):
    """The serving keys signed a Merkle root over so many leaves."""

    kind: Literal["server_verify", "rekey_verify"]
    leaves: int
    root: str
    node: str = ""
    """Which token's serving keys."""


class ClientAdded(AuditEvent, frozen=True, kw_only=True):
    """A client was written into the clients file; `credential` names its token or key without telling it."""

    name: str
    credential: str


class ClientRevoked(AuditEvent, frozen=True, kw_only=True):
    """A client was taken out of the clients file; without `credential`, whatever has this name is withdrawn."""

    name: str
    credential: str = ""


class CallStarted(AuditEvent, frozen=True, kw_only=True):
    """A voice session was established."""

    session: str
    route: str
    identity: str
    suite: str
    tls_group: str
    client: str
    """Address of the peer."""


class CallEnded(AuditEvent, frozen=True, kw_only=True):
    """A voice session is over, and its keys are wiped."""

    session: str
    code: int
    reason: str
    side: Literal["client", "proxy", "backend"]
    truncated: bool
    epochs: int = 0
    frames_received: int = 0
    frames_sent: int = 0
    frames_lost: int = 0


class CallRefused(AuditEvent, frozen=True, kw_only=True):
    """A peer asked for a call and did not get it."""

    code: int
    reason: str
    client: str


class PlaintextNetworkAllowed(AuditEvent, frozen=True, kw_only=True):
    """The configuration lets audio leave this machine in plaintext."""

    route: str
    url: str


class ClassicalSuiteUsed(AuditEvent, frozen=True, kw_only=True):
    """A call runs without post-quantum key agreement."""

    session: str
    suite: str


class AuditRepaired(AuditEvent, frozen=True, kw_only=True):
    """A crash had torn the last line, which nobody had been told was written; it was cut off."""

    bytes_cut: int
