"""Faults of the machine and the directory: ports, files, configuration, token, clock.

Each function plants one and gives the command that meets it; the table says which words its answer has to hold.
"""

import shutil
import subprocess
from pathlib import Path

from tests.shows.faults.world import (
    Asked,
    World,
    a_listening_process,
    asked,
    listening,
    with_few_descriptors,
    with_little_room,
    without_privileges,
)

YEARS = 365


def port_in_use(world: World) -> Asked:
    pid, port = world.stack.enter_context(a_listening_process())
    (world.tmp / "pid").write_text(str(pid))
    return asked("serve", world.directory, "--set", f"listener.address=127.0.0.1:{port}")


def admin_port_in_use(world: World) -> Asked:
    bound, port = listening()
    world.stack.enter_context(bound)
    return asked("serve", world.directory, "--set", f"admin.address=127.0.0.1:{port}")


def port_below_1024(world: World) -> Asked:
    return asked("serve", world.directory, "--set", "listener.address=127.0.0.1:81", before=without_privileges)


def address_of_another_machine(world: World) -> Asked:
    return asked("serve", world.directory, "--set", "listener.address=192.0.2.1:8443")


def unreadable_configuration(world: World) -> Asked:
    (world.directory / "sottovoce.toml").chmod(0)
    return asked("serve", world.directory, before=without_privileges)


def no_directory(world: World) -> Asked:
    return asked("serve", world.tmp / "none")


def no_directory_but_a_file(world: World) -> Asked:
    (world.tmp / "voice").write_text("a letter to a friend\n")
    return asked("serve", world.tmp / "voice")


def init_over_another(world: World) -> Asked:
    return asked("init", world.directory)


def half_made(world: World) -> Asked:
    shutil.rmtree(world.directory / "keys")
    return asked("serve", world.directory)


def no_room_for_init(world: World) -> Asked:
    return asked("init", world.tmp / "fresh", "--port", "0", before=with_little_room)


def no_room_for_what_comes_back(world: World) -> Asked:
    return world.calls("echo", "--out", world.tmp / "back.wav")._replace(before=with_little_room)


def output_that_is_a_device(world: World) -> Asked:
    return world.calls("echo", "--out", "/dev/full")


def full_disk_for_init(world: World) -> Asked:
    """A disk of 64 KiB, in a name space of its own."""
    (place := world.tmp / "full").mkdir()
    mount = f'mount -t tmpfs -o size=64k full {place} && exec "$@"'
    within = ("unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh")
    return asked("init", place / "voice", "--port", "0", within=within)


def output_that_may_not_be_written(world: World) -> Asked:
    (closed := world.tmp / "closed").mkdir(mode=0o500)
    asking = world.calls("echo", "--out", closed / "back.wav")
    return asking._replace(before=without_privileges)


def few_descriptors(world: World) -> Asked:
    return asked("serve", world.directory, before=with_few_descriptors)


def served_already(world: World) -> Asked:
    return asked("serve", world.proxy.directory, "--set", "admin.address=127.0.0.1:0")


def misspelled_section(world: World) -> Asked:
    return asked("serve", world.configure("[identiy]\nnames = []"))


def unknown_key(world: World) -> Asked:
    return asked("serve", world.configure("[voice]\nepoch_second = 300"))


def wrong_type(world: World) -> Asked:
    return asked("check", world.configure('[voice]\nepoch_seconds = "five"'))


def url_that_is_none(world: World) -> Asked:
    return asked("serve", world.configure('[routes.bot]\nadapter = "raw"\nurl = "http://127.0.0.1:9000/"'))


def unknown_key_in_set(world: World) -> Asked:
    return asked("serve", world.directory, "--set", "listner.address=127.0.0.1:0")


def pin_that_others_read(world: World) -> Asked:
    (world.directory / "secrets/pin").chmod(0o644)
    return asked("serve", world.directory)


def no_pin(world: World) -> Asked:
    (world.directory / "secrets/pin").unlink()
    return asked("serve", world.directory)


def wrong_pin(world: World) -> Asked:
    (world.directory / "secrets/pin").write_text("00112233445566778899aabbccddeeff\n")
    return asked("serve", world.directory)


def no_module(world: World) -> Asked:
    return asked("serve", world.configure('[hsm]\nmodule = "/nowhere/libpkcs11.so"'))


def tokens_gone(world: World) -> Asked:
    (world.directory / "hsm/tokens").rename(world.tmp / "elsewhere")
    return asked("serve", world.directory)


def token_of_another_name(world: World) -> Asked:
    return asked("serve", world.configure('[hsm]\ntoken = "voice-2"'))


def audit_log_changed(world: World) -> Asked:
    log = world.directory / "audit/audit.log"
    log.write_bytes(log.read_bytes().replace(b"key", b"kex", 1))
    return asked("serve", world.directory)


def issuing_ca_expired(world: World) -> Asked:
    return asked("serve", world.aged(6 * YEARS))


def clock_behind(world: World) -> Asked:
    """The server's certificates begin a year from now."""
    return asked("serve", world.aged(-YEARS))


def bad_route_for_init(world: World) -> Asked:
    return asked("init", world.tmp / "fresh", "--route", "bot=9000")


def status_of_nobody(world: World) -> Asked:
    bound, port = listening()
    bound.close()
    (world.directory / "sottovoce.toml").write_text(f'[admin]\naddress = "127.0.0.1:{port}"\n')
    return asked("status", world.directory)


def status_of_somebody_else(world: World) -> Asked:
    return asked("status", f"http://127.0.0.1:{world.proxy.port}")


def unknown_code(_: World) -> Asked:
    return asked("explain", "4999")


def unknown_sample(_: World) -> Asked:
    return asked("example", "raw-asyncoi")


def load_on_nobody(world: World) -> Asked:
    bound, port = listening()
    bound.close()
    words = ("run", "--url", f"wss://localhost:{port}/echo", "--dir", world.made, "--sessions", "2", "--seconds", "1")
    return asked(*words, module="loadtest")


def nobody_to_revoke(world: World) -> Asked:
    return asked("clients", "revoke", world.directory, "kiosk")


def nothing_to_inspect(world: World) -> Asked:
    return asked("inspect", world.tmp / "none.pem")


FAULTS = {
    port_in_use: ("listener.address", "127.0.0.1:", "pid {pid}", "choose another port"),
    admin_port_in_use: ("admin.address", "127.0.0.1:", "in use", "choose another"),
    port_below_1024: ("listener.address", "127.0.0.1:81", "CAP_NET_BIND_SERVICE"),
    address_of_another_machine: ("listener.address", "192.0.2.1:8443", "this machine has no such address", "choose"),
    unreadable_configuration: ("{directory}/sottovoce.toml", "Permission denied", "a file that can be read"),
    no_directory: ("{tmp}/none", "sottovoce init {tmp}/none"),
    no_directory_but_a_file: ("{tmp}/voice", "not TOML", "line 1"),
    init_over_another: ("{directory}", "not empty", "choose another directory"),
    half_made: ("{directory}/keys/", "No such file", "sottovoce init"),
    no_room_for_init: ("{tmp}/fresh", "File too large", "make room there"),
    no_room_for_what_comes_back: ("{tmp}/back.wav", "File too large", "make room"),
    output_that_is_a_device: ("/dev/full", "no regular file", "give another path"),
    full_disk_for_init: ("{tmp}/full/voice", "cannot be made", "make room there"),
    output_that_may_not_be_written: ("{tmp}/closed/back.wav", "Permission denied", "give another path"),
    few_descriptors: ("only 16 files", "ulimit -n 4096", "LimitNOFILE="),
    served_already: ("audit.log", "another process", "stop"),
    misspelled_section: ("identiy", "no such section", "did you mean identity?"),
    unknown_key: ("voice.epoch_second", "no such key", "did you mean epoch_seconds?"),
    wrong_type: ("voice.epoch_seconds", "is text", "write a whole number"),
    url_that_is_none: ("routes.bot", "url", "ws://"),
    unknown_key_in_set: ("listner", "no such", "did you mean listener?"),
    pin_that_others_read: ("{directory}/secrets/pin", "0644", "chmod 600"),
    no_pin: ("{directory}/secrets/pin", "No such file", "hsm.pin_file"),
    wrong_pin: ("{directory}/secrets/pin", "does not open token 'sottovoce'", "put the right PIN there"),
    no_module: ("/nowhere/libpkcs11.so", "hsm.module"),
    tokens_gone: ("sottovoce", "{directory}/hsm", "token", "backup"),
    token_of_another_name: ("voice-2", "hsm.token", "sottovoce"),
    audit_log_changed: ("{directory}/audit/audit.log, line 2", "does not match", "move it away"),
    issuing_ca_expired: ("certs/issuing.pem", "valid from", "check this machine's clock"),
    clock_behind: ("certs/issuing.pem", "valid from", "check this machine's clock"),
    bad_route_for_init: ("--route bot", "no backend's URL", "write NAME=ws://"),
    status_of_nobody: ("no proxy runs over this directory", "run/ready.control", "sottovoce serve DIR"),
    status_of_somebody_else: ("http://127.0.0.1:", "admin.address"),
    unknown_code: ("4999", "did you mean"),
    unknown_sample: ("raw-asyncoi", "raw-asyncio"),
    load_on_nobody: ("no call came about", "localhost:", "Connection refused", "sottovoce call URL"),
    nobody_to_revoke: ("kiosk", "clients.toml", "sottovoce clients list"),
    nothing_to_inspect: ("{tmp}/none.pem", "No such file"),
}
"""With the words that the answer to each has to hold."""
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
if _UNPRIVILEGED.exists() and int(_UNPRIVILEGED.read_text()) <= 81:
    del FAULTS[port_below_1024]  # here everybody may
if subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True, check=False).returncode:
    del FAULTS[full_disk_for_init]  # and here nobody
