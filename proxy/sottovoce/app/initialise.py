"""What `sottovoce init` does: a directory with tokens of its own, every key, the certificates, a configuration.

    sottovoce.toml, clients.toml        certs/ca.pem, certs/issuing.pem, certs/anchor.json
    secrets/pin (0600)                  keys/serving.mldsa65.json, keys/anchor.mldsa87.json (sealed seeds)
    hsm/softhsm2.conf, hsm/tokens/      audit/audit.log            run/

Of several tokens each has places of its own (`places`); CA certificates, anchors and serving keys are published
together, so that clients and every token know all of them.  A token process makes the keys and writes the PIN; none of
them passes through here.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from sottovoce.app.places import (
    ANCHORS,
    AUDIT_LOG,
    CA_CERTIFICATE,
    CLIENTS,
    CONFIGURATION,
    SERVING_LIST,
    TokenPlaces,
    new_nodes,
    shown,
    token_places,
)
from sottovoce.app.staging import whole_directory, write_new
from sottovoce.app.token_process import COMMAND, CREATE_KEYS, CreatedKeys, CreateKeys, SealedKey
from sottovoce.audit import CertificateIssued, DirectoryInitialised, KeyGenerated, open_audit
from sottovoce.hsm import HsmConfig, KeyName, NodeConfig, configuration_text, new_configuration, open_token
from sottovoce.identity import AnchorRing, RingAnchor, ServingKeys, check_authorities, format_serving_keys
from sottovoce.pki import certificate_facts, certificate_pem, general_names
from sottovoce.session import Anchor, format_anchor_file
from sottovoce.settings import tokens_text
from sottovoce.transport import SystemClock

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORT, DEFAULT_ADMIN_PORT = 8443, 9443
_NO_CLIENTS = b"# Who may call: made and changed by `sottovoce clients`, or by hand (docs/credentials.md).\n"
_FOLDERS = ("certs", "keys", "secrets", "hsm", "audit", "run")
_PATIENT_SECONDS = 60
_CREATE_SECONDS = 90.0


class Initialised(msgspec.Struct, frozen=True):
    """What was made.  Of each token, in their order: the hash of its root CA's certificate (DER), and its anchor's id.

    Both are hexadecimal.
    """

    directory: Path
    ca_sha256: tuple[str, ...]
    anchors: tuple[str, ...]


class MadeToken(NamedTuple):
    """A new token with its keys, which nobody is told of yet."""

    places: TokenPlaces
    keys: CreatedKeys
    anchor: Anchor


async def initialise(  # noqa: PLR0913  what `init` may be told, by name
    directory: Path,
    *,
    profile: str = "development",
    port: int = DEFAULT_PORT,
    hosts: tuple[str, ...] = DEFAULT_HOSTS,
    tokens: int = 1,
    configuration: str | None = None,
    progress: Callable[[str], None],
) -> Initialised:
    """Make `directory`, whole or not at all; `hosts` are the names that clients call it by.

    `configuration` is its text but for the tokens' sections.  `progress` hears what happens, one line each.  Raises
    DirectoryUnusable, LeafRefused or VoiceCertificateRefused for unfit hosts, HsmError, AuditFailed.  Failed, cancelled
    or killed, it leaves nothing usable.
    """
    target = directory.absolute()  # noqa: ASYNC240  asks for the current directory only
    general_names(hosts)
    check_authorities(hosts)
    text = default_configuration(port, DEFAULT_ADMIN_PORT) if configuration is None else configuration
    nodes = new_nodes(tokens)
    with whole_directory(target) as stage:
        _prepare(stage, nodes)
        made: list[MadeToken] = []
        patient = _patient(nodes).resolved(stage)
        for places in token_places(patient):
            which = "a token of its own" if tokens == 1 else f"token {places.name} ({len(made) + 1} of {tokens})"
            progress(f"making {which} in SoftHSM, and seven keys")
            made.append(await made_token(patient, places, hosts))
        progress("writing certificates, the anchor file and the configuration")
        _write_public(stage, made)
        write_new(stage / CONFIGURATION, f"{text}{tokens_text(nodes) if tokens > 1 else ''}".encode())
        write_new(stage / CLIENTS, _NO_CLIENTS, 0o600)
        await _write_audit(stage, profile, made)
        _settle(stage, target, nodes)
    progress(f"made {target}")
    return Initialised(
        target,
        tuple(hashlib.sha256(each.keys.certificates.root).hexdigest() for each in made),
        tuple(each.anchor.anchor_id.hex() for each in made),
    )


def default_configuration(port: int, admin_port: int = 0) -> str:
    """Give the least that a configuration has to say; it ends in the section of the listener."""
    admin = f'[admin]\naddress = "127.0.0.1:{admin_port}"\n'
    return f'# Made by `sottovoce init`.\n\n{admin}\n[listener]\naddress = "127.0.0.1:{port}"\n'


def _patient(nodes: Mapping[str, NodeConfig]) -> HsmConfig:
    own = dict(nodes) if len(nodes) > 1 else {}
    return HsmConfig(nodes=own, deadline_seconds=_PATIENT_SECONDS, start_seconds=_PATIENT_SECONDS)


def _prepare(stage: Path, nodes: Mapping[str, NodeConfig]) -> None:
    for name in _FOLDERS:
        (stage / name).mkdir(mode=0o700)
    for node in nodes.values():
        for folder in (stage / node.keys, (stage / node.softhsm_config).parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        new_configuration(stage / node.softhsm_config)


async def made_token(config: HsmConfig, places: TokenPlaces, names: tuple[str, ...]) -> MadeToken:
    """Make a token of a (resolved) configuration, with an anchor that stands for these names.  Raises HsmError."""
    keys = await _created_keys(config.alone(places.name))
    return MadeToken(places, keys, Anchor(names, keys.signing[KeyName.ANCHOR], keys.anchor.public_key))


async def _created_keys(config: HsmConfig) -> CreatedKeys:
    def ignore(_: object) -> None:
        """A process that is lost fails the call."""

    async with open_token(config, command=COMMAND, files={}, report=ignore, create=True) as token:
        return await token.call(CREATE_KEYS, CreateKeys(), deadline_seconds=_CREATE_SECONDS)


def _write_public(stage: Path, made: list[MadeToken]) -> None:
    """Write what every token's process and every client is to know, and each token's own."""
    write_new(stage / ANCHORS, format_anchor_file(each.anchor for each in made))
    write_new(stage / CA_CERTIFICATE, b"".join(certificate_pem(each.keys.certificates.root) for each in made))
    if len(made) > 1:
        serving = {each.places.name: serving_keys_of(each.keys) for each in made}
        write_new(stage / SERVING_LIST, format_serving_keys(serving))
    for each in made:
        write_own(each)
        if len(made) > 1:  # the anchor file alone does not say which of its anchors is this token's
            write_new(each.places.anchor_list, first_ring(each).to_file(), 0o600)


def write_own(made: MadeToken) -> None:
    """Write what only a new token's own process reads."""
    places, keys, _ = made
    write_new(places.issuing, certificate_pem(keys.certificates.issuing))
    write_new(places.serving_seed, keys.serving.seed.to_file(), 0o600)
    write_new(places.anchor_seed, keys.anchor.seed.to_file(), 0o600)


def first_ring(made: MadeToken) -> AnchorRing:
    """Give the list of a new token's anchors."""
    own = RingAnchor.of(made.anchor, KeyName.ANCHOR)
    return AnchorRing(issuing=own.id, anchors=(own,))


def serving_keys_of(keys: CreatedKeys) -> ServingKeys:
    """Give the public keys that a new token signs roots with."""
    return ServingKeys(keys.signing[KeyName.SERVING], keys.serving.public_key)


async def _write_audit(stage: Path, profile: str, made: list[MadeToken]) -> None:
    async with open_audit(stage / AUDIT_LOG, SystemClock()) as log:
        await log.record(DirectoryInitialised(profile=profile))
        for each in made:
            for event in (*key_events(stage, each), *certificate_events(each.keys)):
                await log.record(event)


def key_events(stage: Path, made: MadeToken) -> Iterator[KeyGenerated]:
    """Give what the audit log is to tell of a new token's keys; paths are told as seen from `stage`."""
    token = made.places.config.token

    def generated(name: str, algorithm: str, public: bytes | None) -> KeyGenerated:
        digest = "" if public is None else hashlib.sha256(public).hexdigest()
        return KeyGenerated(key=name, algorithm=algorithm, token=token, sha256=digest)

    def sealed(path: Path, key: SealedKey) -> KeyGenerated:
        return generated(shown(path, stage), key.public_key.algorithm.name.lower(), key.public_key.key)

    for name, key in made.keys.signing.items():
        yield generated(name, key.algorithm.name.lower(), key.key)
    yield generated(KeyName.KEK, "aes256", None)
    yield sealed(made.places.serving_seed, made.keys.serving)
    yield sealed(made.places.anchor_seed, made.keys.anchor)


def certificate_events(keys: CreatedKeys) -> list[CertificateIssued]:
    """Give what it is to tell of the certificates of its CAs."""

    def issued(kind: Literal["root_ca", "issuing_ca"], der: bytes) -> CertificateIssued:
        facts = certificate_facts(der)
        return CertificateIssued(
            kind=kind,
            serial=facts.serial,
            names=(facts.subject,),
            not_before=facts.not_before,
            not_after=facts.not_after,
            sha256=facts.sha256,
        )

    return [issued("root_ca", keys.certificates.root), issued("issuing_ca", keys.certificates.issuing)]


def _settle(stage: Path, target: Path, nodes: Mapping[str, NodeConfig]) -> None:
    """Have SoftHSM's configurations name the places where the tokens will lie."""
    for node in nodes.values():
        (stage / node.softhsm_config).write_text(configuration_text(target / node.softhsm_config))
