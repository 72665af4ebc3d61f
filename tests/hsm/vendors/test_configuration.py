"""What `[hsm]` says of vendors, URIs, PINs, levels and templates, and what becomes of it."""

from pathlib import Path

import msgspec
import pytest

from sottovoce.hsm import HsmConfig, ModuleUnusable, NodeConfig, find_softhsm
from sottovoce.hsm.vendors import PinPlace, PinSource, SecurityLevel, TemplateName, Vendor
from sottovoce.settings import Configuration, ConfigurationInvalid, build

BASE = Path("/srv/voice")
LUNA = "/usr/lib/libCryptoki2_64.so"


def several(count: int, template: TemplateName = "none", **fields: object) -> HsmConfig:
    nodes = {
        name: msgspec.convert(
            {
                "token": name,
                "softhsm_config": f"{name}.conf",
                "keys": f"keys/{name}",
                "issuing": f"{name}.pem",
                **fields,
            },
            NodeConfig,
        )
        for name in "abc"[:count]
    }
    return HsmConfig(nodes=nodes, template=template)


def problem(table: dict[str, object]) -> str:
    """Read a section [hsm] as `sottovoce check` does, and give the one thing that is wrong."""
    with pytest.raises(ConfigurationInvalid) as refused:
        build({"hsm": table})
    (only,) = refused.value.problems
    return str(only)


@pytest.mark.parametrize(
    ("config", "vendor"),
    [
        (NodeConfig(), Vendor.SOFTHSM),
        (NodeConfig(module="/opt/libsofthsm2.so"), Vendor.SOFTHSM),
        (NodeConfig(module=LUNA), Vendor.THALES),
        (NodeConfig(module=LUNA, vendor=Vendor.AZURE_DEDICATED_HSM), Vendor.AZURE_DEDICATED_HSM),
        (NodeConfig(uri=f"pkcs11:token=a?module-path={LUNA}"), Vendor.THALES),
        (NodeConfig(module="/opt/other.so"), None),
    ],
)
def test_the_vendor_is_told_or_known_by_its_library(config: NodeConfig, vendor: Vendor | None) -> None:
    assert (config.profile.vendor if config.profile else None) == vendor
    is_softhsms = vendor in {None, Vendor.SOFTHSM}
    assert config.softhsm_file == (Path("hsm/softhsm2.conf") if is_softhsms else None)


def test_the_library_is_what_is_written_or_the_vendors() -> None:
    assert NodeConfig().library == NodeConfig(vendor=Vendor.SOFTHSM).library == find_softhsm()
    assert NodeConfig(vendor=Vendor.THALES, module="/opt/luna.so").library == "/opt/luna.so"
    with pytest.raises(ModuleUnusable, match="the library of thales is not at"):
        _ = NodeConfig(vendor=Vendor.THALES).library


def test_what_a_uri_says_stands_where_others_look_for_it() -> None:
    uri = f"pkcs11:token=voice-1;serial=12?module-path={LUNA}&pin-source=file:secrets/one"
    node = HsmConfig(uri=uri, module="/opt/ignored.so", token="ignored").resolved(BASE).all_nodes["main"]
    assert (node.module, node.token, node.pin_file) == (LUNA, "voice-1", "/srv/voice/secrets/one")
    assert node.uri == "pkcs11:token=voice-1;serial=12"
    assert HsmConfig(uri=node.uri, module=node.module).resolved(BASE).module == LUNA


def test_a_path_in_a_uri_counts_from_the_configuration_too() -> None:
    node = NodeConfig(uri="pkcs11:token=a?module-path=lib/v.so")
    assert HsmConfig(nodes={"a": node}).resolved(BASE).all_nodes["a"].library == "/srv/voice/lib/v.so"


@pytest.mark.parametrize(
    ("fields", "pin"),
    [
        ({}, PinSource(PinPlace.FILE, "/srv/voice/secrets/pin")),
        ({"pin_file": "env:A"}, PinSource(PinPlace.FILE, "/srv/voice/env:A")),
        ({"pin_source": "file:/etc/pin"}, PinSource(PinPlace.FILE, "/etc/pin")),
        ({"pin_source": "env:A"}, PinSource(PinPlace.ENVIRONMENT, "A")),
        ({"pin_source": "env:A", "uri": "pkcs11:token=a?pin-source=fd:3"}, PinSource(PinPlace.DESCRIPTOR, "3")),
    ],
)
def test_where_the_pin_is(fields: dict[str, str], pin: PinSource) -> None:
    config = msgspec.convert(fields, HsmConfig).resolved(BASE)
    assert config.pin == pin
    assert config.resolved(Path("/elsewhere")).pin == pin
    assert config.pin_path == (Path(pin.name) if pin.place is PinPlace.FILE else None)
    assert config.pin_variables == ({"A"} if pin.place is PinPlace.ENVIRONMENT else set())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"uri": "pkcs11:serial=1"}, "hsm.uri: names no token; add token=LABEL"),
        (
            {"uri": "pkcs11:token=a?pin-value=31415"},
            "hsm.uri: pin-value would show the PIN to whoever reads the URI; write pin-source=file:PATH",
        ),
        (
            {"uri": "pkcs11:token=a?pin-source=|31415"},
            "hsm.uri: its pin-source names a program that would tell the PIN to whoever starts it; write file:PATH, ",
        ),
        (
            {"pin_source": "pin:31415"},
            "hsm.pin_source: says not where the PIN is; write file:PATH, env:NAME or fd:NUMBER",
        ),
        ({"vendor": "luna"}, 'hsm.vendor: there is no "luna"; write one of "softhsm", "nss", "thales", "safenet"'),
        (
            {"security_level": "fips_140_2_level_3", "security_certificate": "1"},
            "hsm.security_level: softhsm is software without a certificate; remove security_level and ",
        ),
        (
            {"template": "production"},
            "hsm.nodes: there is one token, and the template wants 3; add sections [hsm.nodes.NAME], ",
        ),
    ],
)
def test_what_is_refused_with_its_place(fields: dict[str, object], said: str) -> None:
    assert problem(fields).startswith(said)
    assert "31415" not in problem(fields)


def test_a_tokens_own_section_is_named() -> None:
    node = {"module": LUNA, "security_level": "fips_140_3_level_3"}
    assert problem({"nodes": {"a": node}}).startswith("hsm.nodes.a.security_certificate: is missing; ")
    assert problem({"nodes": {"a": {"uri": "pkcs11:"}}}).startswith("hsm.nodes.a.uri: names no token")


def test_production_takes_three_certified_tokens_which_can_be_opened_one_by_one() -> None:
    config = several(3, "production", module=LUNA, security_level="fips_140_3_level_3", security_certificate="4700")
    assert [finding.key for finding in config.findings] == [f"nodes.{name}.vendor" for name in "abc"]
    assert config.alone("b").all_nodes == {"b": config.nodes["b"]}


def test_of_an_old_level_there_is_a_warning() -> None:
    level = SecurityLevel.FIPS_140_2_LEVEL_3
    config = HsmConfig(module="/opt/other.so", security_level=level, security_certificate="3205")
    (finding,) = config.findings
    assert finding.key == "security_level"
    assert "historical" in finding.reason


def test_nothing_is_said_of_what_init_makes() -> None:
    assert Configuration().hsm.findings == several(3).findings == ()
    assert several(3, "development").findings == ()


def test_tokens_of_one_vendor_are_told_apart_by_label_or_uri() -> None:
    with pytest.raises(ValueError, match=r"nodes\.b\.token: token a has the same"):
        several(2, module=LUNA, token="voice")
    a, b = (NodeConfig(uri=f"pkcs11:token=voice;serial={name}", keys=name, issuing=name, module=LUNA) for name in "ab")
    assert len(HsmConfig(nodes={"a": a, "b": b}).all_nodes) == 2
