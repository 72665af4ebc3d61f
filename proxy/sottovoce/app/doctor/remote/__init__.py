"""A proxy from the side of its clients: name, TCP, TLS, certificate, upgrade, clock, voice handshake, echo."""

from sottovoce.app.doctor.remote.composition import examine_remote
from sottovoce.app.doctor.remote.target import Remote, Trusted, remote_of

__all__ = ["Remote", "Trusted", "examine_remote", "remote_of"]
