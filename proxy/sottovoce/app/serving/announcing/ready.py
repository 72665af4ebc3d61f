"""The ready file: there exactly as long as calls can come, also while the proxy becomes a newer one."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sottovoce.app.serving.parts import Parts
from sottovoce.observe import events
from sottovoce.settings import ConfigurationInvalid, Problem


@contextmanager
def ready(parts: Parts, announce: Callable[[Mapping[str, str], str], None]) -> Generator[None]:
    """Say that calls can come, and to where; keep the ready file there as long as that holds."""
    path = Path(parts.configuration.process.ready_file)
    addresses = parts.carrier.addresses
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("".join(f"{address}\n" for address in addresses.values()))
        parts.logger.info(
            events.PROXY_READY,
            addresses=addresses,
            admin=parts.admin_address,
            pq={name: str(each.pq) for name, each in parts.configuration.all_listeners().items()},
            routes=sorted(parts.configuration.routes),
            pid=os.getpid(),
        )
        fresh.replace(path)
    except OSError as error:
        reason = f"{path} cannot be written ({error.strerror})"
        problem = Problem("process.ready_file", reason, "give a path in a directory that may be written to")
        raise ConfigurationInvalid([problem]) from None
    try:
        announce(addresses, parts.admin_address)
        yield
    finally:
        if not parts.is_handed_over:
            path.unlink(missing_ok=True)
