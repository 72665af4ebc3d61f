"""The design paper's two configurations of an HSM (its section 2), PRODUCTION and DEVELOPMENT.  Pure.

Names and figures are the paper's.  `is_enforced` is ours: production refuses what does not fit, development only says
so.  Of `monitoring` nothing can be switched off here: health checks, metrics and the audit log are always there, and
alerts are rules of Prometheus; it stands here because the paper demands it.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from sottovoce.hsm.vendors.levels import SecurityLevel

TemplateName = Literal["none", "development", "production"]


class Redundancy(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens, and on how many of them a new key must be."""

    enabled: bool
    min_nodes: int
    quorum: int = 1
    auto_failover: bool = False


class Monitoring(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched."""

    health_checks: bool
    performance_metrics: bool
    security_auditing: bool
    alerting: bool


class HsmTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration has to fulfil."""

    is_enforced: bool
    security_level: SecurityLevel
    redundancy: Redundancy
    monitoring: Monitoring


PRODUCTION: Final = HsmTemplate(
    is_enforced=True,
    security_level=SecurityLevel.FIPS_140_2_LEVEL_3,
    redundancy=Redundancy(enabled=True, min_nodes=3, quorum=2, auto_failover=True),
    monitoring=Monitoring(health_checks=True, performance_metrics=True, security_auditing=True, alerting=True),
)
DEVELOPMENT: Final = HsmTemplate(
    is_enforced=False,
    security_level=SecurityLevel.FIPS_140_2_LEVEL_2,
    redundancy=Redundancy(enabled=False, min_nodes=1),
    monitoring=Monitoring(health_checks=True, performance_metrics=False, security_auditing=True, alerting=False),
)
TEMPLATES: Final[dict[TemplateName, HsmTemplate]] = {"development": DEVELOPMENT, "production": PRODUCTION}


def template_text(template: HsmTemplate) -> str:
    """Give a template as TOML."""
    return "\n".join(_table("", template)) + "\n"


def _table(name: str, table: msgspec.Struct) -> Iterator[str]:
    if name:
        yield f"\n[{name}]"
    inner = {each: value for each, value in msgspec.structs.asdict(table).items() if isinstance(value, msgspec.Struct)}
    for each, value in msgspec.structs.asdict(table).items():
        if each not in inner:
            yield f"{each} = {_toml(value)}"
    for each, value in inner.items():
        yield from _table(each, value)


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
