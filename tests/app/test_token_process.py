"""The token process as it is run, over a directory as `init` makes it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trio

from sottovoce.app.places import ANCHOR_KEY, ISSUING, SERVING_KEY
from sottovoce.app.token_process import COMMAND, CREATE_KEYS, CreateKeys
from sottovoce.hsm import (
    STATUS,
    HsmWrongPin,
    OperationRefused,
    SealedSeedInvalid,
    Status,
    TokenEvent,
    TokenMissing,
    WrappedKey,
    read_sealed_seed,
)
from sottovoce.identity import SIGN_ROOT, RecordsHere, SignRoot, TicketKeyReplaced, TicketKeys, Tickets
from sottovoce.identity.tickets import NEW_TICKET_KEY, OPEN_TICKET_KEY, NewTicketKey, OpenTicketKey
from sottovoce.primitives import SignatureAlgorithm
from sottovoce.session import LeafKind
from sottovoce.transport import SystemClock, SystemEntropy
from tests.app.directories import DEADLINE, OpenToken, token_pid
from tests.identity.tickets.boxes import AUTHORITY, PATH, state_of

ROOT = bytes(range(48))


async def refusal_of(opened: OpenToken) -> Exception:
    """Give the error that a start ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  the tests look at its type
        async with opened():
            pass
    return caught.value


async def test_a_served_token_makes_no_keys(opened: OpenToken) -> None:
    async with opened() as token:
        with pytest.raises(OperationRefused, match="no operation 'create_keys'"):
            await token.call(CREATE_KEYS, CreateKeys(), deadline_seconds=DEADLINE)


@pytest.mark.parametrize("name", ["http", "trio", "sottovoce"])
async def test_it_imports_nothing_from_where_the_proxy_was_started(
    opened: OpenToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('a stranger in the process that holds the keys')")
    monkeypatch.chdir(tmp_path)
    async with opened() as token:
        await token.call(STATUS, Status(), deadline_seconds=DEADLINE)


async def test_what_it_did_is_counted(opened: OpenToken) -> None:
    async with opened() as token:
        for kind in (LeafKind.SERVER_VERIFY, LeafKind.SERVER_VERIFY, LeafKind.REKEY_VERIFY):
            await token.call(SIGN_ROOT, SignRoot(kind, ROOT), deadline_seconds=DEADLINE)
        status = await token.call(STATUS, Status(), deadline_seconds=DEADLINE)
    assert status.counts.pop("keys_found") > 0
    assert status.counts == {"roots_signed": 3, "roots_signed.server_verify": 2, "roots_signed.rekey_verify": 1}


async def test_a_ticket_key_is_made_and_opened_and_is_the_same_each_time(opened: OpenToken) -> None:
    async with opened() as token:
        made = await token.call(NEW_TICKET_KEY, NewTicketKey(), deadline_seconds=DEADLINE)
        other = await token.call(NEW_TICKET_KEY, NewTicketKey(), deadline_seconds=DEADLINE)
        keys = [
            (await token.call(OPEN_TICKET_KEY, OpenTicketKey(each), deadline_seconds=DEADLINE)).key
            for each in (made.wrapped, other.wrapped, made.wrapped)
        ]
        status = await token.call(STATUS, Status(), deadline_seconds=DEADLINE)
    assert [len(key) for key in keys] == [32, 32, 32]
    assert keys[0] == keys[2]
    assert keys[0] != keys[1]
    assert not any(key.is_wiped for key in keys)
    assert keys[0].copy_for_sealing() not in made.wrapped.sealed
    assert status.counts.pop("keys_found") > 0
    assert status.counts == {"ticket_keys_made": 2, "ticket_keys_opened": 3}


async def test_a_ticket_key_opens_as_what_it_was_wrapped_as_only(opened: OpenToken) -> None:
    replace = msgspec.structs.replace
    async with opened() as token:
        wrapped = (await token.call(NEW_TICKET_KEY, NewTicketKey(), deadline_seconds=DEADLINE)).wrapped
        refused: list[tuple[type[Exception], WrappedKey]] = [
            (SealedSeedInvalid, replace(wrapped, serial=bytes(16))),
            (SealedSeedInvalid, replace(wrapped, nonce=bytes(12))),
            (SealedSeedInvalid, replace(wrapped, algorithm="rot13")),
            (SealedSeedInvalid, replace(wrapped, sealed=wrapped.sealed[:-1])),
            (SealedSeedInvalid, replace(wrapped, sealed=bytes([wrapped.sealed[0] ^ 1]) + wrapped.sealed[1:])),
            (OperationRefused, replace(wrapped, purpose="vault")),
            (OperationRefused, replace(wrapped, serial=b"short")),
            (OperationRefused, replace(wrapped, nonce=b"short")),
        ]
        for kind, wrong in refused:
            with pytest.raises(kind):
                await token.call(OPEN_TICKET_KEY, OpenTicketKey(wrong), deadline_seconds=DEADLINE)
        assert token.replacements == 0


async def test_no_seed_is_had_by_calling_it_a_ticket_key(opened: OpenToken, directory: Path) -> None:
    data = (directory / SERVING_KEY).read_bytes()
    seed = read_sealed_seed(data, purpose="serving", algorithm=SignatureAlgorithm.MLDSA65)
    for purpose in ("serving", "ticket"):
        posing = WrappedKey(purpose=purpose, serial=seed.serial, nonce=seed.nonce, sealed=seed.sealed)
        async with opened() as token:
            with pytest.raises((SealedSeedInvalid, OperationRefused)):
                await token.call(OPEN_TICKET_KEY, OpenTicketKey(posing), deadline_seconds=DEADLINE)


async def test_tickets_under_a_key_of_the_token(opened: OpenToken) -> None:
    events: list[object] = []
    clock = SystemClock()
    async with opened() as token:
        records = RecordsHere()
        box = Tickets(token, records=records, report=events.append, clock=clock, entropy=SystemEntropy())
        keys = TicketKeys(
            token,
            records=records,
            admit=box.admit,
            told=box.told,
            report=events.append,
            clock=clock,
            entropy=SystemEntropy(),
        )
        await keys.first()
        state = state_of(clock)
        sealed = box.seal(state, clock.wall())
        assert sealed is not None
        opened_state = box.open(sealed.ticket, AUTHORITY, PATH, clock.wall())
        assert opened_state is not None
        assert opened_state.verified_at == pytest.approx(
            state.verified_at, abs=1
        )  # the two clocks are not read at once
        assert msgspec.structs.replace(opened_state, verified_at=state.verified_at) == state
        assert [box.spend(sealed.ticket), box.spend(sealed.ticket)] == [True, False]
        box.close()
    assert isinstance(events[0], TicketKeyReplaced)


async def test_seeds_moved_to_each_others_place_are_refused(opened: OpenToken, directory: Path) -> None:
    shutil.copy(directory / ANCHOR_KEY, directory / SERVING_KEY)
    error = await refusal_of(opened)
    assert isinstance(error, SealedSeedInvalid)
    assert str(error) == (
        f"the sealed seed {directory / SERVING_KEY} is sealed for anchor with mldsa87, not for serving with mldsa65: "
        "restore it from its backup"
    )


async def test_a_seed_relabelled_for_another_purpose_does_not_open(opened: OpenToken, directory: Path) -> None:
    anchor = (directory / ANCHOR_KEY).read_text()
    (directory / SERVING_KEY).write_text(anchor.replace('"anchor"', '"serving"').replace("mldsa87", "mldsa65"))
    error = await refusal_of(opened)
    assert isinstance(error, SealedSeedInvalid)
    assert "does not open under this token's key: restore both" in str(error)


async def test_a_seed_of_another_token_does_not_open(
    opened: OpenToken, directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from sottovoce.app.initialise import initialise  # noqa: PLC0415  the only test that makes a second directory

    other = tmp_path_factory.mktemp("other") / "directory"
    await initialise(other, progress=[].append)
    shutil.copy(other / SERVING_KEY, directory / SERVING_KEY)
    assert isinstance(await refusal_of(opened), SealedSeedInvalid)


@pytest.mark.parametrize("name", [SERVING_KEY, ANCHOR_KEY])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1, 2"])
async def test_a_damaged_seed_is_named(opened: OpenToken, directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)
    error = await refusal_of(opened)
    assert isinstance(error, SealedSeedInvalid)
    text = str(error)
    assert text.startswith(f"the sealed seed {directory / name} is no sealed seed")
    assert text.endswith(": restore it from its backup")
    assert "\n" not in text


async def test_a_missing_seed_is_named(opened: OpenToken, directory: Path) -> None:
    (directory / ANCHOR_KEY).unlink()
    error = await refusal_of(opened)
    assert str(error) == (
        f"the sealed seed {directory / ANCHOR_KEY} cannot be read (No such file or directory): "
        "restore it from its backup"
    )


@pytest.mark.protocol("P6.23")
async def test_without_the_token_nothing_opens(opened: OpenToken, directory: Path) -> None:
    shutil.rmtree(directory / "hsm/tokens")
    error = await refusal_of(opened)
    assert isinstance(error, TokenMissing)
    assert "the token with it: restore it from its backup" in str(error)


async def test_a_wrong_pin_is_one_line_with_its_remedy(opened: OpenToken, directory: Path) -> None:
    (directory / "secrets/pin").write_text("12345678\n")
    error = await refusal_of(opened)
    assert isinstance(error, HsmWrongPin)
    assert f"the PIN in {directory / 'secrets/pin'} does not open token 'sottovoce'" in str(error)
    assert "12345678" not in str(error)


async def test_another_issuing_certificate_is_refused(opened: OpenToken, directory: Path) -> None:
    shutil.copy(directory / "certs/ca.pem", directory / ISSUING)
    error = await refusal_of(opened)
    assert isinstance(error, OperationRefused)
    assert "is not the certificate of this token's issuing CA: restore both from the same backup" in str(error)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"nothing", "holds no PEM certificate: restore"), (None, "cannot be read (No such file")]
)
async def test_an_unreadable_issuing_certificate_is_named(
    opened: OpenToken, directory: Path, content: bytes | None, reason: str
) -> None:
    if content is None:
        (directory / ISSUING).unlink()
    else:
        (directory / ISSUING).write_bytes(content)
    assert reason in str(await refusal_of(opened))


async def test_it_ends_when_its_socket_ends(opened: OpenToken, token_events: list[TokenEvent]) -> None:
    async with opened():
        descriptor = os.pidfd_open(token_pid(token_events))
    with trio.fail_after(20):
        await trio.lowlevel.wait_readable(descriptor)
    os.close(descriptor)


async def test_it_ends_when_its_parent_dies(directory: Path) -> None:
    """A proxy in small opens the token and is killed."""
    command = [sys.executable, "-m", "tests.app.token_parent", str(directory)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as proxy:  # noqa: ASYNC220  short
        assert proxy.stdout is not None
        pid = int(await trio.to_thread.run_sync(proxy.stdout.readline))
        descriptor = os.pidfd_open(pid)
        proxy.kill()
    with trio.fail_after(20):
        await trio.lowlevel.wait_readable(descriptor)
    os.close(descriptor)


def test_started_by_hand_it_ends_quietly() -> None:
    """Nobody is at the other end of its socket: there is nothing to do, and nothing to say."""
    import socket  # noqa: PLC0415

    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        done = subprocess.run(
            [*COMMAND, str(theirs.fileno()), str(os.getpid())],
            pass_fds=(theirs.fileno(),),
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
