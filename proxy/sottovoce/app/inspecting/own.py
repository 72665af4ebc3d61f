"""Files of our own making: anchors, voice certificates, keys and lists of them, audit logs, configurations, clients."""

import re
from itertools import islice
from pathlib import Path

import msgspec

from sottovoce.app.inspecting.inspection import Fact, Inspection, fact, fault, moment
from sottovoce.audit import AuditBroken, AuditFailed, verify_audit
from sottovoce.identity import (
    AnchorsUnusable,
    ClientsUnusable,
    ServingKeysUnusable,
    parse_ring,
    parse_serving_keys,
    read_clients_file,
)
from sottovoce.session import AnchorFileInvalid, decode_certificate_untrusted, parse_anchor_file
from sottovoce.settings import ConfigurationInvalid, load
from sottovoce.wire import WireError

_MAX_CERTIFICATE_BYTES = 65_536
_MAX_AUDIT_BYTES = 1 << 30
_MAX_SHOWN = 10
_OF_A_RECORD = (b'"index":', b'"event":', b'"leaf":', b'"head":')
_NO_CLIENTS = "# Who may call:"
"""How `init` begins the file of clients, in which there is nobody yet."""
_HEX = re.compile(rb"[0-9a-fA-F]+")
_SECTIONS = re.compile(
    r"^[ \t]*\[{1,2}(client|listener|listeners|voice|routes|identity|clients|hsm|audit|log|admin|process)\b",
    re.MULTILINE,
)


class _Keys(msgspec.Struct):
    """The members by which a JSON object of ours is known."""

    anchors: object = None
    format: str | int | None = None
    purpose: str | int | None = None
    algorithm: str | int | None = None


def inspect_json(path: Path, data: bytes) -> Inspection | None:
    """Take a JSON object, or lines of them."""
    if data.lstrip()[:1] != b"{":
        return None
    first_line = data.partition(b"\n")[0]
    if all(name in first_line for name in _OF_A_RECORD):  # and be it damaged: then that is told
        return _audit(path)
    keys = _keys_of(data)
    if keys is None:
        return None
    if str(keys.format).startswith("sottovoce.anchors"):
        return _ring(data)
    if str(keys.format).startswith("sottovoce.serving-keys"):
        return _serving_keys(data)
    if keys.anchors is not None:
        return _anchors(data)
    if str(keys.format).startswith("sottovoce.sealed-seed"):
        facts = (fact("purpose", keys.purpose), fact("algorithm", keys.algorithm))
        return Inspection(
            "sealed seed", "an ML-DSA key's seed, sealed under a token's key; only that token opens it", facts
        )
    return None


def inspect_voice_certificate(data: bytes) -> Inspection | None:
    """Take a voice certificate, as it crosses the wire or in hexadecimal."""
    if len(data) > _MAX_CERTIFICATE_BYTES:
        return None
    digits = b"".join(data.split())
    raw = bytes.fromhex(digits.decode("ascii")) if _HEX.fullmatch(digits) and len(digits) % 2 == 0 else data
    try:
        certificate = decode_certificate_untrusted(raw)
    except WireError:
        return None
    fields = certificate.fields
    signed = fields.classical.algorithm.name + (f" + {fields.pq.algorithm.name}" if fields.pq else "")
    facts = (
        fact("serial", fields.serial.hex()),
        fact("for", ", ".join(fields.authorities)),
        fact("valid", f"{moment(fields.not_before)} to {moment(fields.not_after)}"),
        fact("serving keys", signed),
        fact("anchor", f"{fields.anchor_id.hex()} (its signature was not checked)"),
    )
    return Inspection("voice certificate", "an anchor's word that two serving keys speak for some names", facts)


def inspect_toml(path: Path, data: bytes) -> Inspection | None:
    """Take a configuration or a file of clients."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    found = _SECTIONS.search(text)
    if found is None:
        return _clients(path) if text.startswith(_NO_CLIENTS) else None
    return _clients(path) if found[1] == "client" else _configuration(path)


def _keys_of(data: bytes) -> _Keys | None:
    try:
        return msgspec.json.decode(data, type=_Keys)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _anchors(data: bytes) -> Inspection:
    try:
        anchors = parse_anchor_file(data)
    except AnchorFileInvalid as error:
        return Inspection("anchor file", "an anchor file that cannot be used", faults=(fault(str(error)),))
    facts: list[Fact] = []
    for anchor in anchors[:_MAX_SHOWN]:
        keys = anchor.classical.algorithm.name + (f" + {anchor.pq.algorithm.name}" if anchor.pq else "")
        facts += [
            fact("anchor", anchor.anchor_id.hex()),
            fact("for", ", ".join(anchor.authorities)),
            fact("keys", keys),
        ]
    count = f"{len(anchors)} anchor{'s' * (len(anchors) != 1)}"
    return Inspection("anchor file", f"{count}: how clients know a proxy; give it to them", tuple(facts))


def _ring(data: bytes) -> Inspection:
    what = "which anchors a token has, and which of them issues; nothing secret"
    try:
        ring = parse_ring(data)
    except AnchorsUnusable as error:
        return Inspection("list of anchors", what, faults=(fault(f"it {error}"),))
    facts = tuple(
        fact("issues" if each.id == ring.issuing else "anchor", f"{each.id} for {', '.join(each.authorities)}")
        for each in ring.anchors[:_MAX_SHOWN]
    )
    return Inspection("list of anchors", what, facts)


def _serving_keys(data: bytes) -> Inspection:
    what = "the serving keys of every token, whom an anchor may certify; nothing secret"
    try:
        nodes = parse_serving_keys(data)
    except ServingKeysUnusable as error:
        return Inspection("list of serving keys", what, faults=(fault(f"it {error}"),))
    facts = tuple(
        fact("token", f"{name} ({keys.classical.algorithm.name} + {keys.pq.algorithm.name})")
        for name, keys in islice(nodes.items(), _MAX_SHOWN)
    )
    return Inspection("list of serving keys", what, facts)


def _audit(path: Path) -> Inspection:
    if path.stat().st_size > _MAX_AUDIT_BYTES:
        return Inspection("audit log", "a very long audit log, not read through; sottovoce audit verify does that")
    try:
        report = verify_audit(path)
    except (AuditBroken, AuditFailed) as error:
        return Inspection("audit log", "an audit log that is not whole", faults=(fault(str(error)),))
    facts = [
        fact("records", report.records),
        fact("from", report.first_time or "-"),
        fact("to", report.last_time or "-"),
        fact("head", report.head),
    ]
    if report.torn_bytes:
        facts.append(fact("torn", f"{report.torn_bytes} bytes of a last line are not finished"))
    return Inspection("audit log", f"{report.records} records, the chain is whole", tuple(facts))


def _configuration(path: Path) -> Inspection:
    try:
        configuration = load(path)
    except ConfigurationInvalid as error:
        faults = tuple(fault(str(each)) for each in error.problems[:_MAX_SHOWN])
        return Inspection("configuration", "a configuration that cannot be used", faults=faults)
    facts = [fact("profile", configuration.process.profile)]
    facts += [
        fact(name, f"{each.address}, pq = {each.pq.value}") for name, each in configuration.all_listeners().items()
    ]
    facts.append(fact("admin", configuration.admin.address))
    facts += [
        fact("route", f"{name} ({each.adapter})") for name, each in list(configuration.routes.items())[:_MAX_SHOWN]
    ]
    what = "what sottovoce serve is told; sottovoce check looks at the files that it names, too"
    return Inspection("configuration", what, tuple(facts))


def _clients(path: Path) -> Inspection:
    try:
        entries = read_clients_file(path).client
    except ClientsUnusable as error:
        return Inspection("clients file", "a file of clients that cannot be used", faults=(fault(str(error)),))
    facts = tuple(fact("client", f"{each.name} ({each.credential.partition(':')[0]})") for each in entries[:_MAX_SHOWN])
    return Inspection(
        "clients file", f"{len(entries)} credentials of who may call; digests and public keys only", facts
    )
