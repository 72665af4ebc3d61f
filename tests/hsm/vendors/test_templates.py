"""The design paper's two templates, figure by figure, and as TOML."""

import tomllib

import msgspec
import pytest

from sottovoce.hsm.vendors import TEMPLATES, HsmTemplate, Monitoring, Redundancy, SecurityLevel, template_text


def test_production_is_the_papers() -> None:
    template = TEMPLATES["production"]
    assert template.security_level is SecurityLevel.FIPS_140_2_LEVEL_3
    assert template.redundancy == Redundancy(enabled=True, min_nodes=3, quorum=2, auto_failover=True)
    assert template.monitoring == Monitoring(
        health_checks=True, performance_metrics=True, security_auditing=True, alerting=True
    )
    assert template.is_enforced


def test_development_is_the_papers() -> None:
    template = TEMPLATES["development"]
    assert template.security_level is SecurityLevel.FIPS_140_2_LEVEL_2
    assert template.redundancy == Redundancy(enabled=False, min_nodes=1)
    assert template.monitoring == Monitoring(
        health_checks=True, performance_metrics=False, security_auditing=True, alerting=False
    )
    assert not template.is_enforced


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_as_toml_it_is_read_back(template: HsmTemplate) -> None:
    assert msgspec.convert(tomllib.loads(template_text(template)), HsmTemplate) == template
