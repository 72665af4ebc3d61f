"""What `serve` says of its start and of its audit log, part by part."""

from pathlib import Path
from typing import Any

import pytest
import trio

from sottovoce.app.checking import build_routes
from sottovoce.app.serving import parts, serve
from sottovoce.app.serving.health import Health, Tokens
from sottovoce.audit import AuditEvent, AuditFailed, ConfigurationLoaded, PlaintextNetworkAllowed
from sottovoce.observe import events
from sottovoce.settings import ConfigurationInvalid, build


class Lines:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.said.append((level, event, fields))


class Audit:
    """An audit log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def record(self, event: AuditEvent) -> None:
        await trio.lowlevel.checkpoint()
        self.events.append(event)


async def test_audio_that_may_leave_the_machine_in_the_clear_is_warned_of_and_on_the_audit_log(tmp_path: Path) -> None:
    file = tmp_path / "sottovoce.toml"
    route = {"adapter": "raw", "url": "ws://192.0.2.1:9000/", "allow_plaintext_network": True}
    configuration = build({"routes": {"open": route, "echo": {"adapter": "echo"}}})
    lines, audit = Lines(), Audit()
    routes = build_routes(configuration, file)
    await parts.record_configuration(configuration, file, routes, audit, lines)  # type: ignore[arg-type]
    [warned] = [(level, fields) for level, event, fields in lines.said if event == events.PLAINTEXT_NETWORK_ALLOWED]
    assert warned[0] == "warning"
    assert warned[1]["route"] == "open"
    loaded, allowed = audit.events
    assert isinstance(loaded, ConfigurationLoaded)
    assert allowed == PlaintextNetworkAllowed(route="open", url="ws://192.0.2.1:9000/")


def test_the_audit_logs_failing_and_mending_are_said() -> None:
    lines = Lines()
    report = parts._reporter(lines, Health(parts.CLOCK, Tokens(parts.CLOCK, {"main": "hsm"}, 1)))  # type: ignore[arg-type]
    report(AuditFailed("the disk is full"))
    report(None)
    assert lines.said == [
        ("error", events.AUDIT_FAILED, {"reason": "the disk is full"}),
        ("warning", events.AUDIT_REPAIRED, {}),
    ]


async def test_the_number_of_files_is_said_and_a_directory_without_its_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines()
    monkeypatch.setattr("sottovoce.app.serving.lifetime.harden_process", lambda: 4096)
    monkeypatch.setattr("sottovoce.app.serving.lifetime.configure_logging", lambda _: None)
    monkeypatch.setattr("sottovoce.app.serving.lifetime.get_logger", lambda _: lines)
    with pytest.raises(ConfigurationInvalid, match=r"anchor\.json cannot be read"):
        await serve(build({}).resolved(tmp_path), tmp_path / "sottovoce.toml")
    assert lines.said == [("debug", events.FILE_LIMIT_RAISED, {"limit": 4096})]
