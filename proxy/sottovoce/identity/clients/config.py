"""The `[clients]` section of the configuration: who may call, and where that is written."""

from pathlib import Path

import msgspec

_FILES = ("file", "jwks_file", "ca_file", "crl_file")


class ClientsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Clients' credentials (docs/credentials.md).  Relative paths count from the configuration file's directory.

    A change in one of the files takes effect without a restart; a file that cannot be used leaves everything as it was.
    """

    file: str = ""
    """A TOML file of tokens' digests, public keys and withdrawn names; `sottovoce clients` writes it."""
    require_credential: bool = False
    """Refuse clients without a credential."""
    jwks_file: str = ""
    """A JSON Web Key Set: whoever shows a JWT signed by one of its keys (Ed25519, ES256) may call.  Never fetched."""
    jwt_issuer: str = ""
    """The `iss` that such a JWT must have; empty: any."""
    ca_file: str = ""
    """PEM certificates of the CAs that issue clients' certificates; each must have issued them itself."""
    crl_file: str = ""
    """PEM revocation lists, one of each of these CAs; empty: no certificate is ever revoked."""

    def __post_init__(self) -> None:
        """Check what one field means for another."""
        if self.require_credential and not (self.file or self.jwks_file or self.ca_file):
            raise ValueError(
                "require_credential: no client could pass; write file, jwks_file or ca_file, "
                "or require_credential = false"
            )
        if self.jwt_issuer and not self.jwks_file:
            raise ValueError("jwt_issuer: no key is there to check a JWT with; write jwks_file, or leave it out")
        if self.crl_file and not self.ca_file:
            raise ValueError("crl_file: no CA is there whose list it could be; write ca_file, or leave it out")

    def resolved(self, base: Path) -> "ClientsConfig":
        """Give the same with absolute paths, counted from `base`."""
        paths = {name: str(base / value) for name in _FILES if (value := self._value(name))}
        return msgspec.structs.replace(self, **paths)

    def files(self) -> tuple[Path, ...]:
        """Give the files that are read: whatever changes one of them changes who may call."""
        return tuple(Path(value) for name in _FILES if (value := self._value(name)))

    @property
    def parts(self) -> int:
        """How many things the files say that stand by themselves; CAs and their lists go together."""
        return sum(map(bool, (self.file, self.jwks_file, self.ca_file)))

    def _value(self, name: str) -> str:
        value: str = getattr(self, name)
        return value
