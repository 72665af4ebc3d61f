"""From a route's configuration to a `Route`: one table of adapters.

A new adapter is a name in `config.ADAPTER_NAMES`, a dialect, and a line in `ADAPTERS`.
"""

import os
import shlex
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from sottovoce.primitives import one_line
from sottovoce.relay.audiosocket import AudioSocketDialect, codecs_of, open_audiosocket
from sottovoce.relay.call import CallStart, Route
from sottovoce.relay.config import RouteConfig
from sottovoce.relay.echo import EchoRoute
from sottovoce.relay.errors import RouteMisconfigured
from sottovoce.relay.link import (
    BackendRoute,
    Begin,
    Dialer,
    MakeDialect,
    OpenStream,
    WebSocketUpgrade,
    open_network_stream,
)
from sottovoce.relay.mux import Backend, MuxRoute
from sottovoce.relay.raw import RawDialect
from sottovoce.relay.realtime import CODECS as REALTIME_CODECS
from sottovoce.relay.realtime import MAX_MESSAGE_BYTES as REALTIME_MAX_MESSAGE_BYTES
from sottovoce.relay.realtime import RealtimeDialect, authorization_of, session_of
from sottovoce.relay.twilio import CODECS as TWILIO_CODECS
from sottovoce.relay.twilio import MAX_MESSAGE_BYTES as TWILIO_MAX_MESSAGE_BYTES
from sottovoce.relay.twilio import TwilioDialect
from sottovoce.transport import PqPolicy, TlsContext, TlsIdentity, TransportMisconfigured, client_context
from sottovoce.wire import Codec

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
T = TypeVar("T")
BuildRoute = Callable[[str, RouteConfig, Path], Route]


def build_route(name: str, config: RouteConfig, *, directory: Path = Path()) -> Route:
    """Build the route `name`; its files are looked for in `directory` unless their paths are absolute.

    Reads certificates and keys, opens no connection.  Raises RouteMisconfigured.  What comes back may carry `warnings`
    for the log, and `plaintext_network` for the audit log.
    """
    return ADAPTERS[config.adapter](name, config, directory)


def _build_echo(name: str, config: RouteConfig, directory: Path) -> Route:  # noqa: ARG001  one of BuildRoute
    return EchoRoute(name)


def _build_raw(name: str, config: RouteConfig, directory: Path) -> Route:
    def make_dialect(start: CallStart) -> RawDialect:
        return RawDialect(start, header=config.raw.header)

    return _dialled_route(name, config, directory, make_dialect)


def _build_twilio(name: str, config: RouteConfig, directory: Path) -> Route:
    def make_dialect(start: CallStart) -> TwilioDialect:
        return TwilioDialect(start, config.twilio)

    return _dialled_route(
        name,
        config,
        directory,
        make_dialect,
        codecs=TWILIO_CODECS,
        begin=WebSocketUpgrade(max_message_bytes=TWILIO_MAX_MESSAGE_BYTES),
    )


def _build_audiosocket(name: str, config: RouteConfig, directory: Path) -> Route:
    codecs = codecs_of(config.audiosocket)
    return _dialled_route(name, config, directory, AudioSocketDialect, codecs=codecs, begin=open_audiosocket)


def _build_mux(name: str, config: RouteConfig, directory: Path) -> Route:
    backend = Backend(
        config.address.authority,
        _opener(name, config, directory),
        attempts=config.connect_attempts,
        timeout_seconds=config.connect_timeout_seconds,
        silence_seconds=config.silence_seconds,
        gather_seconds=config.mux.gather_microseconds / 1e6,
    )
    warnings = _warnings(name, config)
    return MuxRoute(
        name, backend, queue_frames=config.queue_frames, warnings=warnings, plaintext_network=bool(warnings)
    )


def _build_realtime(name: str, config: RouteConfig, directory: Path) -> Route:
    options = config.realtime
    headers = tuple(options.headers.items())
    if options.authorization_file is not None:
        secret = _read_secret(name, "realtime.authorization_file", directory / options.authorization_file)
        remedy = f"put the secret that the backend gave you into {options.authorization_file}, and nothing else"
        header = _blame_value(
            f"routes.{name}.realtime.authorization_file", remedy, partial(authorization_of, options, secret)
        )
        headers = (*headers, header)
    given = _read(name, "realtime.session_file", directory, options.session_file, "JSON file")
    remedy = f"put a JSON object like that of session in session.update into {options.session_file}"
    session = _blame_value(
        f"routes.{name}.realtime.session_file", remedy, partial(session_of, options, b"{}" if given is None else given)
    )

    def make_dialect(start: CallStart) -> RealtimeDialect:
        return RealtimeDialect(start, session, options)

    return _dialled_route(
        name,
        config,
        directory,
        make_dialect,
        codecs=REALTIME_CODECS,
        begin=WebSocketUpgrade(max_message_bytes=REALTIME_MAX_MESSAGE_BYTES, headers=headers),
    )


ADAPTERS: dict[str, BuildRoute] = {
    "echo": _build_echo,
    "raw": _build_raw,
    "twilio": _build_twilio,
    "audiosocket": _build_audiosocket,
    "realtime": _build_realtime,
    "mux": _build_mux,
}
"""What each word of `adapter` builds."""


def _dialled_route(  # noqa: PLR0913  what adapters differ in
    name: str,
    config: RouteConfig,
    directory: Path,
    make_dialect: MakeDialect,
    *,
    codecs: frozenset[Codec] = frozenset(Codec),
    begin: Begin | None = None,
) -> Route:
    dialer = Dialer(
        config.address,
        _opener(name, config, directory),
        attempts=config.connect_attempts,
        timeout_seconds=config.connect_timeout_seconds,
        begin=begin,
    )
    warnings = _warnings(name, config)
    return BackendRoute(
        name,
        dialer,
        make_dialect,
        queue_frames=config.queue_frames,
        codecs=codecs,
        warnings=warnings,
        plaintext_network=bool(warnings),
    )


def _opener(name: str, config: RouteConfig, directory: Path) -> OpenStream:
    address = config.address
    return partial(
        open_network_stream,
        address,
        _tls_context(name, config, directory, address.host) if address.secure else None,
        silence_seconds=config.silence_seconds,
        loopback_only=not address.secure and not config.allow_plaintext_network,
    )


def _warnings(name: str, config: RouteConfig) -> tuple[str, ...]:
    """Give the warning of a route that lets audio leave this machine in the clear."""
    address = config.address
    if address.secure or address.is_loopback:
        return ()
    to, instead = address.authority, f"use {config.schemes.secure}:// instead"
    return (f"routes.{name}.allow_plaintext_network: audio goes unencrypted to {to}; {instead}",)


def _tls_context(name: str, config: RouteConfig, directory: Path, host: str) -> TlsContext:
    """Backends rarely speak ML-KEM yet: prefer it, do not demand it.

    Built up a step at a time, so that what TLS refuses is blamed on the key that brought it in.
    """
    ca_pem = _read(name, "ca_file", directory, config.ca_file)
    identity = _client_identity(name, config, directory)
    build = partial(client_context, host, pq=PqPolicy.PREFER)
    context = build(ca_pem=None)
    if ca_pem is not None:
        remedy = f"put the PEM certificate of the backend's CA into {config.ca_file}"
        context = _blame(f"routes.{name}.ca_file", remedy, partial(build, ca_pem=ca_pem))
    if identity is not None:
        path, remedy = f"routes.{name}.client_certificate_file", f"renew {config.client_certificate_file} and its key"
        context = _blame(path, remedy, partial(build, ca_pem=ca_pem, identity=identity))
    return context


def _client_identity(name: str, config: RouteConfig, directory: Path) -> TlsIdentity | None:
    certificate = _read(name, "client_certificate_file", directory, config.client_certificate_file)
    key = _read(name, "client_key_file", directory, config.client_key_file)
    if certificate is None or key is None:
        return None
    remedy = f"mend {config.client_certificate_file} or {config.client_key_file}, which belong together"
    path = f"routes.{name}.client_certificate_file"
    return _blame(path, remedy, partial(TlsIdentity.from_pem, certificate, key))


def _blame(path: str, remedy: str, build: Callable[[], T]) -> T:
    try:
        return build()
    except TransportMisconfigured as error:
        raise RouteMisconfigured(path, str(error), remedy) from error


def _blame_value(path: str, remedy: str, build: Callable[[], T]) -> T:
    try:
        return build()
    except ValueError as error:
        raise RouteMisconfigured(path, str(error), remedy) from error


def _read_secret(name: str, key: str, path: Path) -> bytes:
    """Read a file that has to be for its owner alone, as the one with a PIN."""
    content, mode = _read_with_mode(name, key, path, "file")
    if mode & _OPEN_TO_OTHERS:
        reason = one_line(f"{path} is open to others (mode {mode:04o})", max_characters=1000)
        raise RouteMisconfigured(f"routes.{name}.{key}", reason, f"chmod 600 {shlex.quote(str(path))}")
    return content


def _read(name: str, key: str, directory: Path, file: str | None, kind: str = "PEM file") -> bytes | None:
    return None if file is None else _read_with_mode(name, key, directory / file, kind)[0]


def _read_with_mode(name: str, key: str, path: Path, kind: str) -> tuple[bytes, int]:
    """Give what is in a file, and its permission bits."""
    try:
        with path.open("rb") as stream:
            return stream.read(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RouteMisconfigured(
            f"routes.{name}.{key}",
            one_line(f"{path}: {reason}", max_characters=1000),
            f"write the path of a {kind} that can be read",
        ) from error
