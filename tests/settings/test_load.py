import datetime as dt
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.settings import (
    Configuration,
    ConfigurationInvalid,
    Problem,
    build,
    development_text,
    find_file,
    load,
    profile_text,
)
from sottovoce.settings.load import MAX_FILE_BYTES
from sottovoce.transport import PqPolicy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sottovoce.toml"
    path.write_text(development_text(8443, ("localhost",)))
    return path


def refusal(file: Path, *changes: str) -> str:
    with pytest.raises(ConfigurationInvalid) as caught:
        load(file, changes)
    text = str(caught.value)
    assert all(line.isprintable() for line in text.splitlines())
    return text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text; save it as UTF-8"),
        (
            b"[voice\n",
            "line 1, column 7: this is not TOML (Expected ']' at the end of a table declaration); write [sec",
        ),
        (b"a = 1\na = 2\n", "this is not TOML (Cannot overwrite a value)"),
        (b"a = \x07", "this is not TOML (Invalid value)"),
        (b"a = " + b"[" * 10_000, "is nested too deeply; write"),
        (b"a = " + b"9" * 10_000, "this is not TOML; write"),
        (
            b"#" * (MAX_FILE_BYTES + 1),
            f"has more than {MAX_FILE_BYTES} bytes; give the configuration, not another file",
        ),
    ],
)
def test_a_file_that_is_no_configuration(file: Path, content: bytes, said: str) -> None:
    file.write_bytes(content)
    text = refusal(file)
    assert text.startswith(f"{file}: ")
    assert said in text
    assert "\n" not in text


def test_a_mark_at_the_start_of_a_file_is_no_fault(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[voice]\r\nepoch_seconds = 7\r\n")
    assert load(file).voice.epoch_seconds == 7


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    assert refusal(file) == f"{file}: No such file or directory; give the path of a file that can be read"
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory; give the path of a file that can be read"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("none", "{place}: there is no such directory; make it with: sottovoce init {place}"),
        ("a b", "{place}: there is no such directory; make it with: sottovoce init '{place}'"),
        ("none.toml", "{place}: there is no such file; give a directory made by: sottovoce init DIR"),
        (".", "{place}/sottovoce.toml: there is no such file; give a directory made by: sottovoce init DIR"),
        ("x" * 3000, "{place}: File name too long; give a directory made by: sottovoce init DIR"),
    ],
)
def test_where_there_is_no_configuration(tmp_path: Path, place: str, said: str) -> None:
    path = tmp_path / place
    with pytest.raises(ConfigurationInvalid) as caught:
        find_file(path)
    assert str(caught.value) == said.format(place=path)


def test_a_directory_of_somebody_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ConfigurationInvalid, match="Permission denied; run as the user who owns it"):
        find_file(tmp_path)


def test_a_directory_stands_for_the_file_in_it(file: Path) -> None:
    assert find_file(file.parent) == find_file(file) == file


def test_paths_count_from_the_file(file: Path) -> None:
    configuration = load(file, ["clients.file=clients.toml", "audit.file=/var/a.log"])
    assert configuration.hsm.pin_file == str(file.parent / "secrets/pin")
    assert configuration.clients.file == str(file.parent / "clients.toml")
    assert configuration.process.ready_file == str(file.parent / "run/ready")
    assert configuration.audit.file == "/var/a.log"


def test_set_takes_every_fixed_name(file: Path) -> None:
    configuration = load(
        file,
        [
            "listener.address=127.0.0.1:1",
            "listener.pq=require",
            'listeners.second.address="[::1]:2"',
            "voice.epoch_seconds = 5",
            "voice.messages_per_key=16",
            "voice.padding=0",
            "voice.reauthenticate_every=3",
            "routes.bot.adapter=raw",
            "routes.bot.url=ws://127.0.0.1:9000/",
            "routes.bot.raw.header=true",
            'routes."v1.bot".adapter=echo',
            'identity.names=["a.example", "::1"]',
            "admin.address=127.0.0.1:3",
        ],
    )
    assert configuration.listener.address == "127.0.0.1:1"
    assert configuration.listener.pq is PqPolicy.REQUIRE
    assert list(configuration.all_listeners()) == ["listener", "listeners.second"]
    voice = configuration.voice
    assert (voice.epoch_seconds, voice.messages_per_key, voice.padding, voice.reauthenticate_every) == (5, 16, 0, 3)
    assert configuration.routes["bot"].raw.header
    assert set(configuration.routes) == {"echo", "bot", "v1.bot"}
    assert configuration.identity.names == ("a.example", "::1")
    assert configuration.admin.address == "127.0.0.1:3"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("voice", "--set voice: is not key=value; write --set voice.epoch_seconds=60"),
        ("=3", "--set =3: is not key=value; write --set voice.epoch_seconds=60"),
        ("voice..x=3", "--set voice..x=3: is not key=value; write --set voice.epoch_seconds=60"),
        ("a=1\nb=2", "a: there is no such key; known here: "),
        ("x\ny=1", '"x\\ny": there is no such key; known here: '),
        ("x\ny", "--set 'x\\ny': is not key=value; write --set voice.epoch_seconds=60"),
        ("voice=3", "voice: is a whole number; write a section [voice] with keys of its own"),
        ("voice.epoch_seconds=", "voice.epoch_seconds: is text; write a whole number from 2 to 3600"),
        ("voice.epoch_seconds=x", "voice.epoch_seconds: is text; write a whole number from 2 to 3600"),
        ("voice.epoch_seconds=1\nx=2", "voice.epoch_seconds: is text; write a whole number from 2 to 3600"),
        ("voice.epoch_seconds.x=1", "--set voice.epoch_seconds.x: there is no such key; epoch_seconds holds a value"),
        ("epoch_seconds=5", "epoch_seconds: there is no such key; it belongs in [voice]"),
        ("vioce.epoch_seconds=5", "vioce: there is no such section; did you mean voice?"),
        ("identity.names=a", 'identity.names: is text; write a list of texts, as in ["a", "b"]'),
        ("listener.pq=always", 'listener.pq: there is no "always"; write one of "require", "prefer", "off"'),
        (
            "listener.address=localhost:1",
            "listener.address: 'localhost:1' is no IP address and port; write 127.0.0.1:8443",
        ),
        ("routes.echo.adapter=raw", "routes.echo.url: raw needs a backend; write url = "),
        ("voice.suites=" + "[" * 5000, "voice.suites: is text; write a list of texts"),
    ],
)
def test_a_set_that_cannot_be(file: Path, change: str, said: str) -> None:
    text = refusal(file, change)
    assert said in text
    assert "\n" not in text


def test_a_later_set_wins(file: Path) -> None:
    assert load(file, ["voice.padding=1", "voice.padding=0"]).voice.padding == 0


def test_the_problems_of_a_file_come_together(file: Path) -> None:
    file.write_text("[voice]\nepoch_seconds = 1\n[listener]\npq = 3\n[nonsense]\n")
    assert len(refusal(file, "admin.address=here").splitlines()) == 4


# --- whatever a file says ------------------------------------------------------------------------------------------

_KEYS = ("address", "pq", "epoch_seconds", "suites", "adapter", "url", "raw", "header", "names", "pin_file", "level")
_NAMES = st.sampled_from([*Configuration.__struct_fields__, *_KEYS]) | st.text(max_size=20)
_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["raw", "echo", "prefer", "ws://[::1]:1/", "wss://u@x/", "127.0.0.1:1", "[::1]:0", 10**400])
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


def problems_with(use: Callable[[], object]) -> tuple[Problem, ...]:
    """Give what is said about a configuration, each problem one line with all its parts; nothing if it can be used."""
    try:
        use()
    except ConfigurationInvalid as error:
        problems = error.problems
    else:
        return ()
    for problem in problems:
        assert str(problem).isprintable()
        assert problem.path
        assert problem.reason
        assert problem.remedy
    return problems


@given(st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=4) | _VALUES, max_size=4))
def test_any_tree_is_a_configuration_or_is_explained(tree: dict[str, object]) -> None:
    problems_with(lambda: build(tree))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
def test_any_set_is_applied_or_explained(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text("")
    for change in (word, f"voice.{word}", f"voice.suites={word}", f"routes.{word}", f"{word}=3"):
        problems_with(lambda: load(file, [change]))  # noqa: B023  used at once


@given(st.binary(max_size=60))
def test_any_file_is_read_or_explained(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.toml"
    file.write_bytes(content)
    problems_with(lambda: load(file))


def test_what_msgspec_gets_is_what_it_takes() -> None:
    """The words are ours, the judgement is msgspec's: what is not explained is converted."""
    table = tomllib.loads("[listener]\nhandshake_seconds = 1\n[voice]\nsuites = ['X25519_AES256GCM']")
    assert build(table).voice.suites == ("X25519_AES256GCM",)


PRODUCTION: dict[str, object] = {
    "process": {"profile": "production"},
    "clients": {"file": "clients.toml", "require_credential": True},
    "listener": {"pq": "require"},
}


def test_the_profile_production_as_init_writes_it_is_taken() -> None:
    configuration = build(tomllib.loads(profile_text("production", 8443, ("voice.example.com",))))
    assert configuration.process.profile == "production"
    assert configuration.clients.require_credential
    assert configuration.listener.pq == "require"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clients": {}}, "clients.require_credential: production takes no unnamed caller"),
        ({"listener": {"pq": "prefer"}}, "listener.pq: production requires post-quantum"),
        ({"listeners": {"b": {"address": "127.0.0.1:1", "pq": "off"}}}, "listeners.b.pq: production requires"),
        ({"voice": {"require_binding": False}}, "voice.require_binding: production takes no call that is bound"),
        ({"voice": {"suites": ["X25519_AES256GCM"]}}, "voice.suites: production has no classical suite"),
        (
            {"routes": {"a": {"adapter": "echo", "suites": ["SECP384R1_AES256GCM"]}}},
            "routes.a.suites: production has no classical suite",
        ),
    ],
)
def test_production_refuses_what_only_a_workbench_may_have(change: dict[str, object], said: str) -> None:
    build(PRODUCTION)
    with pytest.raises(ConfigurationInvalid, match=said):
        build(PRODUCTION | change)
    clients: dict[str, object] = {"clients": {"file": "a"}}
    build(clients | change)


def test_production_is_asked_from_its_own_machine_unless_it_says_otherwise() -> None:
    table = tomllib.loads(profile_text("production", 8443, ("voice.example.com",)))
    table["admin"]["address"] = "0.0.0.0:9443"
    with pytest.raises(ConfigurationInvalid, match=r"admin\.address: production is asked from this machine alone; "):
        build(table)
    table["admin"]["allow_network"] = True
    assert not build(table).admin.is_loopback


def test_the_admin_listener_needs_an_address_of_its_own() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"admin\.address: listener has 127\.0\.0\.1:9443 already"):
        build(tomllib.loads('[listener]\naddress = "127.0.0.1:9443"\n'))
