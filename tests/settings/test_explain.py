import tomllib

import msgspec
import pytest

from sottovoce.settings import Configuration
from sottovoce.settings.explain import join, problems_of


def told(text: str) -> list[str]:
    """Give the lines that a file is answered with."""
    return [str(problem) for problem in problems_of(tomllib.loads(text), Configuration)]


NUMBER = "write a whole number from 2 to 3600"
SUITES = (
    '"SECP384R1MLKEM1024_AES256GCM", "SECP384R1_AES256GCM", "X25519MLKEM768_AES256GCM", '
    '"X25519MLKEM768_CHACHA20POLY1305", "X25519_AES256GCM"'
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # keys and sections that are not there
        ("[voice]\nepoch_second = 3", "voice.epoch_second: there is no such key; did you mean epoch_seconds?"),
        ("[voice]\nepoch-seconds = 3", "voice.epoch-seconds: there is no such key; did you mean epoch_seconds?"),
        ("epoch_seconds = 3", "epoch_seconds: there is no such key; it belongs in [voice]"),
        ("[voice]\npq = 'off'", "voice.pq: there is no such key; it belongs in [listener] or [listeners.NAME]"),
        ("[log]\nxyz = 3", "log.xyz: there is no such key; known here: format, level"),
        ("[voices]\n", "voices: there is no such section; did you mean voice?"),
        ("[route.a]\n", "route: there is no such section; did you mean routes?"),
        (
            "qqq = 3",
            "qqq: there is no such key; known here: listener, listeners, voice, routes, identity, clients, hsm, ",
        ),
        ('[voice]\n"a\\nb" = 3', 'voice."a\\nb": there is no such key; known here: '),
        (
            "[routes.a.raw]\nheaders = true\n[routes.a]\nadapter = 'raw'\nurl = 'ws://[::1]/'",
            "routes.a.raw.headers: there is no such key; did you mean header?",
        ),
        ("[listeners.b]\nadress = '[::1]:1'", "listeners.b.adress: there is no such key; did you mean address?"),
        # numbers
        ("[voice]\nepoch_seconds = 'x'", f"voice.epoch_seconds: is text; {NUMBER}"),
        ("[voice]\nepoch_seconds = 1", f"voice.epoch_seconds: is 1, out of range; {NUMBER}"),
        ("[voice]\nepoch_seconds = 3601", f"voice.epoch_seconds: is 3601, out of range; {NUMBER}"),
        ("[voice]\nepoch_seconds = 5.0", f"voice.epoch_seconds: is a number with a point; {NUMBER}"),
        ("[voice]\nepoch_seconds = true", f"voice.epoch_seconds: is true or false; {NUMBER}"),
        ("[voice]\nepoch_seconds = [5]", f"voice.epoch_seconds: is a list; {NUMBER}"),
        ("[voice.epoch_seconds]\n", f"voice.epoch_seconds: is a section; {NUMBER}"),
        ("[voice]\nepoch_seconds = 2026-01-01", f"voice.epoch_seconds: is a date or a time; {NUMBER}"),
        ("[voice]\nepoch_seconds = 12:30:00", f"voice.epoch_seconds: is a date or a time; {NUMBER}"),
        (
            f"[voice]\nepoch_seconds = 0x{'f' * 9000}",
            f"voice.epoch_seconds: is a very large number, out of range; {NUMBER}",
        ),
        (
            f"[voice]\nepoch_seconds = -{'9' * 99}",
            f"voice.epoch_seconds: is a very small number, out of range; {NUMBER}",
        ),
        (
            "[listener]\nhandshake_seconds = nan",
            "listener.handshake_seconds: is nan, which measures nothing; write a number from 0.1 to 300",
        ),
        (
            "[listener]\nhandshake_seconds = -inf",
            "listener.handshake_seconds: is -inf, which measures nothing; write a number from 0.1 to 300",
        ),
        (
            "[listener]\nhandshake_seconds = 0.05",
            "listener.handshake_seconds: is 0.05, out of range; write a number from 0.1 to 300",
        ),
        ("[listener]\nhandshake_seconds = '1s'", "listener.handshake_seconds: is text; write a number from 0.1 to 300"),
        (
            f"[listener]\nhandshake_seconds = 1{'0' * 400}",
            "listener.handshake_seconds: is a very large number, out of range; write a number from 0.1 to 300",
        ),
        ("[hsm]\ndeadline_seconds = 0", "hsm.deadline_seconds: is 0, out of range; write a number above 0, at most 60"),
        (
            "[hsm]\ndeadline_seconds = 61",
            "hsm.deadline_seconds: is 61, out of range; write a number above 0, at most 60",
        ),
        # texts
        ("[admin]\naddress = 9443", 'admin.address: is a whole number; write text in "quotes"'),
        ("[hsm]\ntoken = ''", 'hsm.token: is empty; write text in "quotes", or remove the line'),
        (f"[hsm]\ntoken = '{'x' * 33}'", "hsm.token: has 33 characters; write at most 32"),
        (
            '[hsm]\npin_file = "a\\u0000b"',
            "hsm.pin_file: holds a character that cannot be printed; write plain text on one line",
        ),
        (
            '[audit]\nfile = "a\\nb"',
            "audit.file: holds a character that cannot be printed; write plain text on one line",
        ),
        # true or false
        ("[voice]\nrequire_binding = 1", "voice.require_binding: is a whole number; write true or false"),
        ("[voice]\nrequire_binding = 'true'", "voice.require_binding: is text; write true or false"),
        # one of several
        ("[listener]\npq = 'requir'", 'listener.pq: there is no "requir"; did you mean "require"?'),
        ("[listener]\npq = 'REQUIRE'", 'listener.pq: there is no "REQUIRE"; did you mean "require"?'),
        ("[listener]\npq = 'x'", 'listener.pq: there is no "x"; write one of "require", "prefer", "off"'),
        ("[listener]\npq = true", 'listener.pq: is true or false; write one of "require", "prefer", "off"'),
        ("[log]\nlevel = 'fatal'", 'log.level: there is no "fatal"; write one of "debug", "error", "info", "warning"'),
        ("[log]\nformat = 1", 'log.format: is a whole number; write one of "auto", "console", "json"'),
        ("[voice]\nsuites = ['X25519']", 'voice.suites[0]: there is no "X25519"; write one of ' + SUITES),
        (
            "[voice]\nsuites = ['x25519_aes256gcm']",
            'voice.suites[0]: there is no "x25519_aes256gcm"; did you mean "X25519_AES256GCM"?',
        ),
        (
            f"[log]\nlevel = '{'x' * 500}'",
            f'log.level: there is no "{"x" * 59}…"; write one of "debug", "error", "info", "warning"',
        ),
        # lists and sections
        ("[identity]\nnames = 'a'", 'identity.names: is text; write a list of texts, as in ["a", "b"]'),
        ("[identity]\nnames = ['a', 3]", 'identity.names[1]: is a whole number; write text in "quotes"'),
        ("voice = 3", "voice: is a whole number; write a section [voice] with keys of its own"),
        ("routes = []", "routes: is a list; write sections [routes.NAME]"),
        ("[routes]\na = 'raw'", "routes.a: is text; write a section [routes.a] with keys of its own"),
        ("[[routes]]\nadapter = 'raw'", "routes: is a list; write sections [routes.NAME]"),
        ("[routes.a]\n", 'routes.a.adapter: is missing; add a line adapter = "echo"'),
        (
            "[routes.'a b']\nadapter = 'echo'",
            'routes."a b": its name stands in URLs and logs; use 1 to 64 letters, digits and . _ ~ - only',
        ),
        (f"[routes.{'x' * 65}]\nadapter = 'echo'", "its name stands in URLs and logs; use 1 to 64 letters"),
        ('[routes."a\\n"]\nadapter = "echo"', 'routes."a\\n": its name stands in URLs and logs; '),
        ("[listeners.'']\n", 'listeners."": its name stands in URLs and logs; '),
        # several tokens
        (
            "[hsm.nodes.A]\n",
            (
                "hsm.nodes.A: its name stands in file names and metrics; use a small letter, then up to 31 small "
                "letters, digits and - only"
            ),
        ),
        ("[hsm.nodes.a]\nquorum = 1", "hsm.nodes.a.quorum: there is no such key; it belongs in [hsm]"),
        ("[hsm]\nquorum = 2", "hsm.quorum: is 2 of 1; write 1 at most, or 0 for more than half"),
        (
            "[hsm.nodes.a]\n[hsm.nodes.b]\n",
            "hsm.nodes.b.softhsm_config: token a has the same; write one for each token",
        ),
        (
            "[hsm.nodes.a]\nkeys = 'k'\n[hsm.nodes.b]\nsofthsm_config = 'b'\nkeys = './k/'",
            "hsm.nodes.b.keys: token a has the same; write one for each token",
        ),
        (
            (
                "[hsm.nodes.a]\nsofthsm_config = ''\nkeys = 'a'\nissuing = 'a'\n"
                "[hsm.nodes.b]\nsofthsm_config = ''\nkeys = 'b'\nissuing = 'b'\n"
            ),
            "hsm.nodes.b.token: token a has the same; write one for each token",
        ),
        (
            "".join(f"[hsm.nodes.n{number}]\n" for number in range(17)),
            "hsm.nodes: there are 17 tokens; write 16 at most",
        ),
        # rules between fields
        ("[routes]\n", 'routes: there is none; write [routes.echo] with adapter = "echo"'),
        ("[routes.a]\nadapter = 'ehco'", "routes.a.adapter: there is no 'ehco'; write one of echo, raw"),
        ("[routes.a]\nadapter = 'echo'\nurl = 'ws://[::1]/'", "routes.a.url: echo has no backend; remove url, or "),
        ("[routes.a]\nadapter = 'raw'", "routes.a.url: raw needs a backend; write url = "),
        (
            "[routes.a]\nadapter = 'raw'\nurl = 'http://x/'",
            "routes.a.url: 'http://x/' is no WebSocket URL; write ws://",
        ),
        (
            "[routes.a]\nadapter = 'raw'\nurl = 'ws://10.0.0.1/'",
            "would send audio unencrypted over the network; write a wss:// url, or allow_plaintext_network = true if",
        ),
        (
            "[listener]\naddress = 'localhost:1'",
            "listener.address: 'localhost:1' is no IP address and port; write 127.0.0.1:8443, 0.0.0.0:443 or [::]:443",
        ),
        ("[listener]\naddress = '::1:80'", "listener.address: '::1:80' mixes forms; write an IPv6 address in brackets"),
        ("[listeners.b]\naddress = '127.0.0.1'", "listeners.b.address: '127.0.0.1' is no IP address and port; write "),
        (
            "[admin]\naddress = '127.0.0.1:x'",
            "admin.address: '127.0.0.1:x' has no port from 0 to 65535; write 127.0.0.1:8443",
        ),
        ("[listener]\naddress = '[::1]:70000'", "listener.address: '[::1]:70000' has no port from 0 to 65535; write "),
        ("[listeners.b]\n", "listeners.b.address: listener has 127.0.0.1:8443 already; write another port"),
        ("[voice]\nsuites = []", "voice.suites: none is left; write suites = ["),
        ("[identity]\nnames = []", 'identity.names: there is none; write names = ["voice.example.com"]'),
        (
            "[clients]\nrequire_credential = true",
            "clients.require_credential: no client could pass; write file, jwks_file or ca_file",
        ),
    ],
)
def test_a_problem_is_one_line_with_its_place_its_reason_and_its_remedy(text: str, line: str) -> None:
    (only,) = told(text)
    assert line in only
    assert only.isprintable()
    path, _, rest = only.partition(": ")
    reason, _, remedy = rest.partition("; ")
    assert path
    assert reason
    assert remedy


def test_every_problem_is_named() -> None:
    text = """
    vioce = 3
    [voice]
    epoch_seconds = 1
    padding = 3
    pq = "off"
    [listener]
    address = "here"
    [routes.a]
    adapter = "raw"
    [routes.b]
    adaptor = "raw"
    """
    assert [line.partition(":")[0] for line in told(text)] == [
        "vioce",
        "voice.epoch_seconds",
        "voice.padding",
        "voice.pq",
        "listener.address",
        "routes.a.url",
        "routes.b.adaptor",
        "routes.b.adapter",
    ]


def test_what_looks_like_a_secret_in_a_url_is_not_repeated() -> None:
    (line,) = told("[routes.a]\nadapter = 'raw'\nurl = 'wss://me:hunter2@bot.example/'")
    assert "hunter2" not in line


def test_a_path_is_spelled_as_toml_spells_it() -> None:
    assert join("routes", "v1.bot") == 'routes."v1.bot"'
    assert join("", "voice") == "voice"


def test_sections_that_have_to_be_there_are_asked_for_as_sections() -> None:
    class File(msgspec.Struct):
        groups: dict[str, dict[str, int]]

    assert [str(each) for each in problems_of({}, File)] == ["groups: is missing; write sections [groups.NAME]"]
