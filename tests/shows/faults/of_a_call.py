"""Faults that a caller meets: trust, names, clocks, credentials, recordings, routes and what is behind them.

Each function plants one and gives the command that meets it; the table says which words its answer has to hold.
"""

from tests.recordings import write_recording
from tests.running import running_proxy
from tests.shows.faults.world import Asked, World, asked, listening


def nobody_there(world: World) -> Asked:
    bound, port = listening()
    bound.close()
    return asked("call", f"wss://localhost:{port}/echo", "--tone", "--dir", world.made)


def address_that_is_none(world: World) -> Asked:
    return asked("call", "https://localhost:8443/echo", "--tone", "--dir", world.made)


def unknown_host(world: World) -> Asked:
    return asked("call", "wss://voice.invalid:8443/echo", "--tone", "--dir", world.made)


def anchor_of_another(world: World) -> Asked:
    trust = ("--anchor", world.other / "certs/anchor.json", "--ca", world.proxy.directory / "certs/ca.pem")
    return world.calls("echo", *trust)


def no_anchor(world: World) -> Asked:
    return world.calls("echo", "--anchor", world.tmp / "anchor.json")


def anchor_damaged(world: World) -> Asked:
    anchor = world.tmp / "anchor.json"
    anchor.write_text((world.made / "certs/anchor.json").read_text().replace('"key": "', '"key": "AAAA'))
    return world.calls("echo", "--anchor", anchor)


def ca_of_another(world: World) -> Asked:
    anchor = world.proxy.directory / "certs/anchor.json"
    return world.calls("echo", "--anchor", anchor, "--ca", world.other / "certs/ca.pem")


def only_the_systems_cas(world: World) -> Asked:
    return world.calls("echo", "--anchor", world.proxy.directory / "certs/anchor.json")


def another_host_name(world: World) -> Asked:
    proxy = world.stack.enter_context(running_proxy(world.directory, "listener.address=127.0.0.2:0"))
    return asked("call", f"wss://127.0.0.2:{proxy.port}/echo", "--tone", "--dir", world.directory)


def clock_ahead(world: World) -> Asked:
    """The caller's clock is two years fast."""
    asking = world.calls()
    return asking._replace(module="tests.app.doctor.shifted_clock", env=(("SHIFTED_DAYS", "-730"),))


def clock_slow(world: World) -> Asked:
    asking = world.calls()
    return asking._replace(module="tests.app.doctor.shifted_clock", env=(("SHIFTED_DAYS", "730"),))


def no_credential(world: World) -> Asked:
    return world.calls_guarded()


def credential_revoked(world: World) -> Asked:
    return world.calls_guarded("--token", world.guarded.directory / "revoked.token")


def credential_of_another_audience(world: World) -> Asked:
    return world.calls_guarded("--token", world.guarded.directory / "elsewhere.token")


def credential_expired(world: World) -> Asked:
    return world.calls_guarded("--token", world.guarded.directory / "expired.token")


def key_that_others_read(world: World) -> Asked:
    key = world.tmp / "my.key"
    assert asked("clients", "keygen", "--out", key).ask().code == 0
    key.chmod(0o644)
    return world.calls_guarded("--key", key)


def no_token_file(world: World) -> Asked:
    return world.calls_guarded("--token", world.tmp / "none.token")


def unknown_route(world: World) -> Asked:
    return world.calls("ecoh")


def backend_down(world: World) -> Asked:
    return world.calls("down")


def backend_refuses(world: World) -> Asked:
    return world.calls("refusing")


def backend_deaf(world: World) -> Asked:
    return world.calls("deaf")


def backend_speaks_no_http(world: World) -> Asked:
    return world.calls("nonsense")


def backend_speaks_garbage(world: World) -> Asked:
    return world.calls("garbage")


def backend_closes(world: World) -> Asked:
    return world.calls("closing")


def backend_says_nothing(world: World) -> Asked:
    return world.calls("mute")


def recording_in_stereo(world: World) -> Asked:
    wav = write_recording(world.tmp / "in.wav", channels=2)
    return asked("call", f"{world.proxy.url}/echo", wav, "--dir", world.proxy.directory)


def no_recording(world: World) -> Asked:
    (world.tmp / "in.wav").write_text("la la la")
    return asked("call", f"{world.proxy.url}/echo", world.tmp / "in.wav", "--dir", world.proxy.directory)


FAULTS = {
    nobody_there: ("localhost:", "Connection refused", "check host and port"),
    address_that_is_none: ("the URL", "wss://host:port/route"),
    unknown_host: ("voice.invalid", "check"),
    anchor_of_another: ("signed by anchor", "not in the anchor file", "get the current anchor.json from its operator"),
    no_anchor: ("{tmp}/anchor.json", "No such file", "operator"),
    anchor_damaged: ("{tmp}/anchor.json", "operator"),
    ca_of_another: ("certificate", "--ca"),
    only_the_systems_cas: ("certificate", "--ca"),
    another_host_name: ("127.0.0.2", "wrong host", "a name that the certificate holds"),
    clock_ahead: ("certificate", "expired", "clock"),
    clock_slow: ("certificate", "not valid yet", "check this machine's clock"),
    no_credential: ("4403 policy", "shows no credential", "token, key or certificate"),
    credential_revoked: ("4401 auth_failed", "credential", "check that the credential is current and for this host"),
    credential_of_another_audience: (
        "4401 auth_failed",
        "credential",
        "check that the credential is current and for this host",
    ),
    credential_expired: ("4401 auth_failed", "credential", "check that the credential is current and for this host"),
    key_that_others_read: ("{tmp}/my.key", "open to others", "chmod 600"),
    no_token_file: ("{tmp}/none.token", "No such file", "have a token issued"),
    unknown_route: ("404", "no such route", "check the path"),
    backend_down: ("4450 backend_down", "operator", "log"),
    backend_refuses: ("4450 backend_down", "operator", "log"),
    backend_deaf: ("4450 backend_down", "operator", "log"),
    backend_speaks_no_http: ("4450 backend_down", "operator", "log"),
    backend_speaks_garbage: ("4450 backend_down", "operator", "log"),
    backend_closes: ("4450 backend_down", "operator", "log"),
    backend_says_nothing: ("nothing came back", "backend", "sottovoce explain backend.silent"),
    recording_in_stereo: ("{tmp}/in.wav", "2 channels", "sox"),
    no_recording: ("{tmp}/in.wav", "no PCM WAV file", "sox"),
}
"""With the words that the answer to each has to hold."""
