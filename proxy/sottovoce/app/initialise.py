"""What `sottovoce init` does: a directory with a token of its own, every key, the certificates, a configuration.

    sottovoce.toml, clients.toml        certs/ca.pem, certs/issuing.pem, certs/anchor.json
    secrets/pin (0600)                  keys/serving.mldsa65.json, keys/anchor.mldsa87.json (sealed seeds)
    hsm/softhsm2.conf, hsm/tokens/      audit/audit.log            run/

The token process makes the keys and writes the PIN; none of them passes through here.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec

from sottovoce.app.staging import whole_directory, write_new
from sottovoce.app.token_process import COMMAND, CREATE_KEYS, CreatedKeys, CreateKeys, SealedKey
from sottovoce.audit import AuditEvent, CertificateIssued, DirectoryInitialised, KeyGenerated, open_audit
from sottovoce.hsm import HsmConfig, KeyName, configuration_text, new_configuration, open_token
from sottovoce.identity import ANCHOR_RING, SERVING_SEED, check_authorities
from sottovoce.pki import ISSUING_CERTIFICATE, certificate_facts, certificate_pem, general_names
from sottovoce.session import Anchor, format_anchor_file
from sottovoce.transport import SystemClock

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORT, DEFAULT_ADMIN_PORT = 8443, 9443
CONFIGURATION = "sottovoce.toml"
CA_CERTIFICATE, ISSUING, ANCHORS = "certs/ca.pem", "certs/issuing.pem", "certs/anchor.json"
SERVING_KEY, ANCHOR_KEY = "keys/serving.mldsa65.json", "keys/anchor.mldsa87.json"
ANCHOR_LIST = "keys/anchors.json"
"""There once an anchor has been replaced; it says which one issues."""
AUDIT_LOG = "audit/audit.log"
CLIENTS = "clients.toml"
_NO_CLIENTS = b"# Who may call: made and changed by `sottovoce clients`, or by hand (docs/credentials.md).\n"
_FOLDERS = ("certs", "keys", "secrets", "hsm", "audit", "run")
_PATIENT = HsmConfig(deadline_seconds=60, start_seconds=60)
_CREATE_SECONDS = 90.0


class Initialised(msgspec.Struct, frozen=True):
    """What was made.  Both hashes are hexadecimal: of the root CA's certificate (DER), and the anchor's id."""

    directory: Path
    ca_sha256: str
    anchor_id: str


def token_files(directory: Path) -> dict[str, str]:
    """Give what a token process of such a directory reads at its start, for `open_token`."""
    return {
        SERVING_SEED: str(directory / SERVING_KEY),
        ANCHOR_RING: str(directory / ANCHOR_LIST),
        ISSUING_CERTIFICATE: str(directory / ISSUING),
    }


async def initialise(  # noqa: PLR0913  what `init` may be told, by name
    directory: Path,
    *,
    profile: str = "development",
    port: int = DEFAULT_PORT,
    hosts: tuple[str, ...] = DEFAULT_HOSTS,
    configuration: str | None = None,
    progress: Callable[[str], None],
) -> Initialised:
    """Make `directory`, whole or not at all; `hosts` are the names that clients call it by.

    `progress` hears what happens, one line each.  Raises DirectoryUnusable, LeafRefused or VoiceCertificateRefused for
    unfit hosts, HsmError, AuditFailed.  Failed, cancelled or killed, it leaves nothing usable.
    """
    target = directory.absolute()  # noqa: ASYNC240  asks for the current directory only
    general_names(hosts)
    check_authorities(hosts)
    text = default_configuration(port, DEFAULT_ADMIN_PORT) if configuration is None else configuration
    with whole_directory(target) as stage:
        progress("making a token of its own in SoftHSM, and seven keys")
        _prepare(stage)
        async with _created_keys(stage) as keys:
            progress("writing certificates, the anchor file and the configuration")
            anchor = _write_public(stage, keys, hosts, text)
        await _write_audit(stage, profile, keys)
        _settle(stage, target)
    progress(f"made {target}")
    return Initialised(target, hashlib.sha256(keys.certificates.root).hexdigest(), anchor.anchor_id.hex())


def default_configuration(port: int, admin_port: int = 0) -> str:
    """Give the least that a configuration has to say; it ends in the section of the listener."""
    admin = f'[admin]\naddress = "127.0.0.1:{admin_port}"\n'
    return f'# Made by `sottovoce init`.\n\n{admin}\n[listener]\naddress = "127.0.0.1:{port}"\n'


def _prepare(stage: Path) -> None:
    for name in _FOLDERS:
        (stage / name).mkdir(mode=0o700)
    new_configuration(stage / _PATIENT.softhsm_config)


@asynccontextmanager
async def _created_keys(stage: Path) -> AsyncGenerator[CreatedKeys]:
    def ignore(_: object) -> None:
        """A process that is lost fails the call."""

    config = _PATIENT.resolved(stage)
    async with open_token(config, command=COMMAND, files={}, report=ignore, create=True) as token:
        yield await token.call(CREATE_KEYS, CreateKeys(), deadline_seconds=_CREATE_SECONDS)


def _write_public(stage: Path, keys: CreatedKeys, hosts: tuple[str, ...], configuration: str) -> Anchor:
    anchor = Anchor(hosts, keys.signing[KeyName.ANCHOR], keys.anchor.public_key)
    write_new(stage / ANCHORS, format_anchor_file((anchor,)))
    write_new(stage / CA_CERTIFICATE, certificate_pem(keys.certificates.root))
    write_new(stage / ISSUING, certificate_pem(keys.certificates.issuing))
    write_new(stage / SERVING_KEY, keys.serving.seed.to_file(), 0o600)
    write_new(stage / ANCHOR_KEY, keys.anchor.seed.to_file(), 0o600)
    write_new(stage / CONFIGURATION, configuration.encode())
    write_new(stage / CLIENTS, _NO_CLIENTS, 0o600)
    return anchor


async def _write_audit(stage: Path, profile: str, keys: CreatedKeys) -> None:
    async with open_audit(stage / AUDIT_LOG, SystemClock()) as log:
        for event in (DirectoryInitialised(profile=profile), *_key_events(keys), *_certificate_events(keys)):
            await log.record(event)


def _key_events(keys: CreatedKeys) -> list[AuditEvent]:
    def generated(name: str, algorithm: str, public: bytes | None) -> AuditEvent:
        digest = "" if public is None else hashlib.sha256(public).hexdigest()
        return KeyGenerated(key=name, algorithm=algorithm, token=_PATIENT.token, sha256=digest)

    def sealed(name: str, key: SealedKey) -> AuditEvent:
        return generated(name, key.public_key.algorithm.name.lower(), key.public_key.key)

    in_token = [generated(name, key.algorithm.name.lower(), key.key) for name, key in keys.signing.items()]
    kek = generated(KeyName.KEK, "aes256", None)
    return [*in_token, kek, sealed(SERVING_KEY, keys.serving), sealed(ANCHOR_KEY, keys.anchor)]


def _certificate_events(keys: CreatedKeys) -> list[AuditEvent]:
    def issued(kind: Literal["root_ca", "issuing_ca"], der: bytes) -> AuditEvent:
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


def _settle(stage: Path, target: Path) -> None:
    """Have SoftHSM's configuration name the place where its tokens will lie."""
    path = Path(_PATIENT.softhsm_config)
    (stage / path).write_text(configuration_text(target / path))
