"""The sets that belong to packages above `observe` are repeated in it: here they are held against their owners."""

from pathlib import Path

import pytest

from sottovoce import edge, hsm, pki
from sottovoce.app.token_process import CREATE_KEYS
from sottovoce.edge.gate import Gate
from sottovoce.identity import ISSUE_VOICE_CERTIFICATE, SIGN_ROOT
from sottovoce.identity.tickets import NEW_TICKET_KEY, OPEN_TICKET_KEY
from sottovoce.observe.metrics import labels
from sottovoce.relay import BackendFault
from sottovoce.transport import TlsReason
from sottovoce.transport.tls import _GROUP_NAMES
from sottovoce.wire import Code


def test_tls_groups_and_reasons() -> None:
    assert set(_GROUP_NAMES.values()) == labels.TLS_GROUPS
    assert {reason.value for reason in TlsReason} == labels.TLS_REASONS


def test_backend_faults() -> None:
    assert {fault.value for fault in BackendFault} == labels.BACKEND_FAULTS


def test_operations_of_the_token() -> None:
    operations = (
        SIGN_ROOT,
        ISSUE_VOICE_CERTIFICATE,
        NEW_TICKET_KEY,
        OPEN_TICKET_KEY,
        pki.ISSUE_LEAF,
        CREATE_KEYS,
        hsm.PROBE,
        hsm.STATUS,
    )
    assert {operation.name for operation in operations} == labels.OPERATIONS


def test_outcomes_of_the_token() -> None:
    errors = set(labels.HSM_OUTCOMES) - {hsm.ANSWERED, hsm.CANCELLED}
    assert all(issubclass(getattr(hsm, name), hsm.HsmError) for name in errors)


def test_statuses_with_which_requests_are_refused() -> None:
    """Each three-figure constant of those who refuse has its label."""
    root = Path(edge.__file__).parents[1]
    text = "".join(
        (root / file).read_text() for file in ("edge/gate/admission.py", "edge/connection.py", "transport/limits.py")
    )
    assert "_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404" in text
    assert "_UNAVAILABLE = 503" in text
    assert {"400", "403", "404", "503"} <= labels.STATUSES


@pytest.mark.parametrize("limit", sorted(labels.LIMITS))
def test_each_limit_is_one_of_a_listener_and_begins_a_refusals_text(limit: str) -> None:
    assert limit in edge.ListenerConfig.__struct_fields__
    assert labels.limit_of(f"{limit} is reached") == limit
    assert Gate.__module__ == "sottovoce.edge.gate.floods"


def test_a_balancers_bad_header_and_texts_that_nobody_knows() -> None:
    assert labels.limit_of("PROXY protocol: no header came") == "proxy_header"
    assert labels.limit_of("open_files: 1024 may be open, new calls are refused") == "open_files"
    assert labels.limit_of("who knows") == "other"
    assert labels.fault_of("closed: without a stop") == "closed"
    assert labels.fault_of("who knows") == "other"


def test_codes() -> None:
    assert [labels.code_of(code) for code in Code] == [code.label for code in Code]
    assert labels.code_of(4999) == "other"
