"""The `[hsm]` section of the configuration."""

from pathlib import Path
from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


class HsmConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which token, and how long to wait for it.  Relative paths count from the configuration file's directory."""

    module: str = ""
    """The PKCS#11 library; empty: SoftHSM, where the system keeps it."""
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] = "sottovoce"  # noqa: S105  a name
    """The token's label."""
    pin_file: Annotated[str, msgspec.Meta(min_length=1)] = "secrets/pin"
    """A file with the user PIN, readable by its owner only."""
    softhsm_config: str = "hsm/softhsm2.conf"
    """SoftHSM's own configuration; ignored by other modules, empty for none."""
    deadline_seconds: Seconds = 1.5
    """How long the token process may take for one answer before it is suspected of hanging."""
    hang_grace_seconds: Seconds = 0.5
    """How much longer it may take before it is killed and replaced."""
    start_seconds: Seconds = 15.0
    """How long a token process may take to log in and prove itself."""
    max_waiting: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 256
    """How many calls may wait for their turn; further ones are refused at once."""

    def resolved(self, base: Path) -> "HsmConfig":
        """Give the same with absolute paths, counted from `base`."""
        return msgspec.structs.replace(
            self,
            module=str(base / self.module) if self.module else "",
            pin_file=str(base / self.pin_file),
            softhsm_config=str(base / self.softhsm_config) if self.softhsm_config else "",
        )
