"""The whole configuration, put together from the sections that lie beside the code they configure."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from sottovoce.admin import AdminConfig
from sottovoce.audit import AuditConfig
from sottovoce.edge import ListenerConfig, VoiceConfig, parse_address
from sottovoce.hsm import HsmConfig
from sottovoce.identity import ClientsConfig, IdentityConfig
from sottovoce.observe import LogConfig
from sottovoce.primitives import Suite
from sottovoce.relay import RouteConfig
from sottovoce.transport import PqPolicy

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~-]{1,64}$(?!\n)")]
"""Of a route or a listener, chosen by the operator: it stands in URLs and in logs."""


class ProcessConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[process]`: the proxy's process itself."""

    profile: Literal["development", "production"] = "development"
    """`production` refuses what only a workbench may have: unnamed callers, classical key agreement, unbound calls."""
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0
    """Told to stop, the proxy sends its calls elsewhere (4460), spread over this time: they do not all dial at once."""
    stop_seconds: Annotated[float, msgspec.Meta(ge=0.5, le=300)] = 6.0
    """After that a call has so long to leave before it is cut off."""
    workers: Annotated[int, msgspec.Meta(ge=0, le=256)] = 1
    """Processes that carry calls, each with a processor's worth of them; 0: one for each processor that it may use.
    1: the proxy is one process.  More: it is a supervisor with so many workers, and can be upgraded without a gap."""
    upgrade_seconds: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 3600.0
    """Calls that run when the proxy is upgraded go on in the old workers for so long; then they are sent elsewhere."""
    ready_file: Annotated[str, msgspec.Meta(min_length=1)] = "run/ready"
    """Made when calls can come, removed when they no longer can."""
    allow_tls_environment: bool = False
    """Start although OPENSSL_CONF, OPENSSL_MODULES or SSLKEYLOGFILE is set, which change or record TLS from outside."""

    @property
    def worker_count(self) -> int:
        """How many processes carry calls on this machine."""
        return self.workers or len(os.sched_getaffinity(0))


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that `sottovoce serve` is told."""

    listener: ListenerConfig = ListenerConfig()
    listeners: dict[Name, ListenerConfig] = {}
    voice: VoiceConfig = VoiceConfig()
    routes: dict[Name, RouteConfig] = msgspec.field(default_factory=lambda: {"echo": RouteConfig(adapter="echo")})
    identity: IdentityConfig = IdentityConfig()
    clients: ClientsConfig = ClientsConfig()
    hsm: HsmConfig = HsmConfig()
    audit: AuditConfig = AuditConfig()
    log: LogConfig = LogConfig()
    admin: AdminConfig = AdminConfig()
    process: ProcessConfig = ProcessConfig()

    def __post_init__(self) -> None:
        """Check what one section means for another."""
        if not self.routes:
            raise ValueError('routes: there is none; write [routes.echo] with adapter = "echo"')
        places: dict[str, str] = {}
        for name, text in self._addresses().items():
            address = parse_address(text)
            other = places.setdefault(str(address), name)
            if other != name and address.port:
                raise ValueError(f"{name}.address: {other} has {address} already; write another port")
        if self.process.profile == "production":
            self._check_production()

    def _check_production(self) -> None:
        """Refuse what only a workbench may have."""
        if not self.clients.require_credential:
            raise ValueError("clients.require_credential: production takes no unnamed caller; write true")
        if not (self.admin.is_loopback or self.admin.allow_network):
            remedy = "write 127.0.0.1:9443, or admin.allow_network = true"
            raise ValueError(f"admin.address: production is asked from this machine alone; {remedy}")
        if not self.voice.require_binding:
            raise ValueError("voice.require_binding: production takes no call that is bound to no TLS; write true")
        for name, each in self.all_listeners().items():
            if each.pq is not PqPolicy.REQUIRE:
                raise ValueError(f'{name}.pq: production requires post-quantum key agreement; write "require"')
        suites = {"voice": self.voice.suites, **{f"routes.{name}": each.suites for name, each in self.routes.items()}}
        for section, names in suites.items():
            if classical := [name for name in names if Suite[name].is_classical]:
                raise ValueError(f"{section}.suites: production has no classical suite; remove {classical[0]}")

    def resolved(self, base: Path) -> "Configuration":
        """Give the same with absolute paths, counted from `base`."""
        ready_file = str(base / self.process.ready_file)
        return msgspec.structs.replace(
            self,
            clients=self.clients.resolved(base),
            hsm=self.hsm.resolved(base),
            audit=self.audit.resolved(base),
            process=msgspec.structs.replace(self.process, ready_file=ready_file),
        )

    def _addresses(self) -> dict[str, str]:
        """Give each address that is listened on, under the name of its section."""
        return {name: each.address for name, each in self.all_listeners().items()} | {"admin": self.admin.address}

    def all_listeners(self) -> dict[str, ListenerConfig]:
        """Give each listener under the name of its section."""
        return {"listener": self.listener, **{f"listeners.{name}": each for name, each in self.listeners.items()}}
