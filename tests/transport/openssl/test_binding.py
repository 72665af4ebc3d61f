"""The private calls of pyOpenSSL: these tests fail when a version of it has lost one, or changed what it means."""

import ast
import inspect
import ipaddress

import pytest
from OpenSSL import SSL, _util

from sottovoce.transport.openssl import binding
from sottovoce.transport.openssl.binding import Outcome, RecordPipe, require_host, set_groups, take_fault
from sottovoce.transport.openssl.contexts import PqPolicy, probe_context
from tests.transport.ends import client, connected, server


def private_names() -> set[str]:
    """Read from the module which names of OpenSSL it uses."""
    return {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(binding)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "_lib"
    }


def test_each_private_name_is_there() -> None:
    assert len(private_names()) > 20
    assert [name for name in sorted(private_names()) if not hasattr(_util.lib, name)] == []


@pytest.mark.parametrize("name", ["_ssl", "_into_ssl", "_from_ssl"])
def test_a_connection_on_memory_has_its_pointers(name: str) -> None:
    assert getattr(probe_context("X25519").new_connection(), name) != _util.ffi.NULL


def test_a_context_and_its_store_have_their_pointers() -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert context._context != _util.ffi.NULL
    store = context.get_cert_store()
    assert store is not None
    assert store._store != _util.ffi.NULL


@pytest.mark.parametrize(
    ("groups", "known"),
    [("X25519", True), ("X25519MLKEM768/X25519:secp256r1", True), ("X25519:nosuch", False), ("X25519MLKEM769", False)],
)
def test_groups_that_are_not_known_are_said(groups: str, known: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    assert set_groups(SSL.Context(SSL.TLS_CLIENT_METHOD), groups) is known
    assert take_fault().text == ""


def test_a_host_for_the_store() -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert require_host(context, "voice.example.com")
    assert require_host(context, ipaddress.ip_address("::1"))
    assert not require_host(context, "a\0b")


def test_each_way_a_step_ends() -> None:
    ours, theirs = RecordPipe(client().new_connection()), RecordPipe(server().new_connection())
    assert ours.drain() == b""
    assert ours.handshake() is Outcome.WANTS_BYTES
    theirs.feed(ours.drain())
    assert theirs.handshake() is Outcome.WANTS_BYTES
    ours.feed(theirs.drain())
    assert ours.handshake() is Outcome.DONE
    theirs.feed(ours.drain())
    assert theirs.handshake() is Outcome.DONE
    assert ours.read() == (b"", Outcome.WANTS_BYTES)  # the tickets
    for size in (16_384, 16_385, 70_000):
        assert ours.write(bytes(size)) is Outcome.DONE
        theirs.feed(ours.drain())
        assert theirs.read() == (bytes(size), Outcome.WANTS_BYTES)
    ours.shut_down()
    theirs.feed(ours.drain())
    assert theirs.read() == (b"", Outcome.CLOSED)
    assert ours.write(b"x") is Outcome.FAILED
    assert ours.write(bytes(20_000)) is Outcome.FAILED
    assert take_fault().text == "protocol is shutdown"
    assert ours.verify_result() == (0, "ok")


def test_a_fault_is_named_and_taken_once() -> None:
    theirs = RecordPipe(server(PqPolicy.REQUIRE).new_connection())
    ours = RecordPipe(probe_context("X25519").new_connection())
    ours.handshake()
    theirs.feed(ours.drain())
    assert theirs.handshake() is Outcome.FAILED
    assert take_fault() == ("no suitable key share", None)
    assert take_fault() == ("", None)
    ours.feed(theirs.drain())
    assert ours.handshake() is Outcome.FAILED
    assert take_fault().alert == 40


def test_a_list_of_protocols_is_walked_to_its_end() -> None:
    assert binding._offers_http(b"\x02h2\x08http/1.1")
    assert not binding._offers_http(b"")
    assert not binding._offers_http(b"\x02h2\x08http/1.0")


def test_leftovers_of_one_connection_are_no_fault_of_another() -> None:
    broken = RecordPipe(server().new_connection())
    broken.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert broken.handshake() is Outcome.FAILED  # and nobody asks why
    ours, theirs = connected()
    ours.send(b"x")
    assert theirs.receive(ours.to_send()) == b"x"


def test_a_flight_is_fed_up_to_an_encrypted_record() -> None:
    plain, encrypted = b"\x16\x03\x03\0\3abc", b"\x17\x03\x03\0\3abc"
    data = plain + plain + encrypted + plain + encrypted
    for step in (1, 2, 3, 7, 8, 9, 23, len(data)):
        pipe, ends = RecordPipe(server().new_connection()), set[int]()
        for at in range(0, len(data), step):
            piece, taken = data[at : at + step], 0
            while taken < len(piece):
                taken = pipe.feed_flight(piece, taken)
                ends.add(at + taken)
        assert ends >= {24, 40}
        assert pipe._missing == 0
        if step == len(data):
            assert ends == {24, 40}
    assert RecordPipe(server().new_connection()).feed_flight(b"") == 0
