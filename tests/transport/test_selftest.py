import pytest
from OpenSSL import SSL

from sottovoce.primitives import Secret
from sottovoce.transport import (
    PqPolicy,
    RecordLayer,
    SelfTestFailed,
    TransportMisconfigured,
    refuse_tls_environment,
    self_test,
    server_context,
)
from sottovoce.transport.openssl import contexts, handover
from tests.transport.certificates import authority, leaf
from tests.transport.ends import server


@pytest.mark.parametrize(
    ("policy", "group"),
    [(PqPolicy.REQUIRE, "X25519MLKEM768"), (PqPolicy.PREFER, "X25519MLKEM768"), (PqPolicy.OFF, "X25519")],
)
def test_a_context_does_what_its_policy_says(policy: PqPolicy, group: str) -> None:
    assert self_test(server(policy)) == group


@pytest.mark.parametrize(
    ("policy", "groups", "words"),
    [
        (PqPolicy.REQUIRE, "X25519MLKEM768/X25519", "offers X25519 got X25519 and not a refusal"),
        (PqPolicy.REQUIRE, "X25519", "offers X25519MLKEM768 got a refusal and not X25519MLKEM768"),
        (PqPolicy.PREFER, "X25519MLKEM768:X25519", "offers X25519:X25519MLKEM768 got X25519 and not X25519MLKEM768"),
        (PqPolicy.PREFER, "X25519MLKEM768", "offers X25519 got a refusal and not X25519"),
        (PqPolicy.OFF, "X25519MLKEM768/X25519", "offers X25519MLKEM768 got X25519MLKEM768 and not a refusal"),
    ],
)
def test_a_context_that_does_otherwise(
    monkeypatch: pytest.MonkeyPatch, policy: PqPolicy, groups: str, words: str
) -> None:
    monkeypatch.setitem(contexts._GROUPS, policy, groups)
    with pytest.raises(SelfTestFailed, match=f"under pq = {policy.value} a client that {words}: install the versions"):
        self_test(server(policy))


def test_a_handshake_that_cannot_be_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "SUITES", {})
    with pytest.raises(SelfTestFailed, match='set records = "openssl" at the listener'):
        self_test(server(records=RecordLayer.OWN))
    assert self_test(server(records=RecordLayer.OPENSSL)) == "X25519MLKEM768"


def test_one_that_demands_client_certificates_cannot_be_tested() -> None:
    with pytest.raises(SelfTestFailed):
        self_test(server_context(leaf(), pq=PqPolicy.PREFER, client_ca_pem=authority().pem))


@pytest.mark.parametrize("name", ["OPENSSL_CONF", "OPENSSL_MODULES", "SSLKEYLOGFILE"])
def test_an_environment_that_changes_tls(name: str) -> None:
    with pytest.raises(TransportMisconfigured, match=f"the environment variable {name} is set.*unset it, or allow it"):
        refuse_tls_environment({"PATH": "/bin", name: "/tmp/s3cret"}, allowed=False)  # noqa: S108  # not a file
    refuse_tls_environment({name: "/tmp/x"}, allowed=True)  # noqa: S108  # not a file
    refuse_tls_environment({name: ""}, allowed=False)
    refuse_tls_environment({"PATH": "/bin"}, allowed=False)


def test_its_value_is_not_told() -> None:
    with pytest.raises(TransportMisconfigured) as caught:
        refuse_tls_environment({"OPENSSL_CONF": "s3cret"}, allowed=False)
    assert "s3cret" not in str(caught.value)


def test_it_leaves_no_secret_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Secret] = []
    keep = handover.keep_secret

    def see(connection: SSL.Connection, secret: Secret, *, of_client: bool) -> None:
        told.append(secret)
        keep(connection, secret, of_client=of_client)

    monkeypatch.setattr(contexts, "keep_secret", see)
    self_test(server(PqPolicy.PREFER, records=RecordLayer.OWN))
    assert len(told) == 6
    assert all(secret.is_wiped for secret in told)
