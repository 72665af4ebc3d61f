"""One token of a real SoftHSM: what it does when its process is killed, hangs, or the token goes."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from sottovoce.hsm import (
    STATUS,
    Cluster,
    HsmTimeout,
    HsmUnavailable,
    HsmWrongPin,
    ModuleUnusable,
    Operation,
    OperationRefused,
    PinUnreadable,
    SealedSeed,
    SealedSeedInvalid,
    Status,
    TokenDown,
    TokenEvent,
    TokenLocked,
    TokenMissing,
    TokenProcessFailed,
    TokenState,
    TokenUp,
)
from tests.hsm.conftest import OpenToken, pid_of
from tests.hsm.pool.test_cluster import in_flight
from tests.hsm.token_child import (
    DIE,
    DROP_SESSIONS,
    FAIL,
    LOSE,
    OPEN,
    SIGN,
    SIGN_ONCE,
    Nothing,
    Open,
    Sign,
)


async def test_a_signature_verifies_and_is_counted(opened: OpenToken) -> None:
    async with opened() as token:
        answer = await token.call(SIGN, Sign("a root"), deadline_seconds=10)
        assert answer.public_key.verify(b"a root", answer.signature)
        status = await token.call(STATUS, Status(), deadline_seconds=10)
        assert (status.pid, status.counts["signed"]) == (answer.pid, 1)


async def test_many_calls_at_once_each_get_their_own_answer(opened: OpenToken) -> None:
    async with opened() as token:

        async def check(text: str) -> None:
            answer = await token.call(SIGN, Sign(text), deadline_seconds=30)
            assert answer.public_key.verify(text.encode(), answer.signature)

        async with trio.open_nursery() as nursery:
            for number in range(64):
                nursery.start_soon(check, f"root {number}")


async def test_killed_with_a_call_in_flight_the_call_only_waits(opened: OpenToken, events: list[TokenEvent]) -> None:
    async with opened() as token:
        first = pid_of(events)

        os.kill(first, signal.SIGSTOP)  # it does not answer before it is killed
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill_when_busy, token, first)
            answer = await token.call(SIGN, Sign("root"), deadline_seconds=30)
        assert answer.public_key.verify(b"root", answer.signature)
        assert answer.pid != first
        assert [type(event) for event in events] == [TokenUp, TokenDown, TokenUp]
        assert [event.in_flight for event in events if isinstance(event, TokenDown)] == [1]
        assert token.replacements == 1


async def test_a_call_that_must_not_be_repeated_fails_when_its_process_dies(
    opened: OpenToken, events: list[TokenEvent]
) -> None:
    async with opened() as token, trio.open_nursery() as nursery:
        nursery.start_soon(kill_when_busy, token, pid_of(events))
        with pytest.raises(HsmUnavailable, match="outcome is unknown"):
            await token.call(SIGN_ONCE, Sign("root", delay_seconds=5), deadline_seconds=30)
        assert (await token.call(SIGN, Sign("next"), deadline_seconds=30)).pid != 0


async def test_hung_it_is_killed_and_the_call_only_waits(opened: OpenToken, events: list[TokenEvent]) -> None:
    async with opened(deadline_seconds=0.5, hang_grace_seconds=0.2, start_seconds=20) as token:
        first = pid_of(events)
        os.kill(first, signal.SIGSTOP)
        answer = await token.call(SIGN, Sign("root"), deadline_seconds=30)
        assert answer.public_key.verify(b"root", answer.signature)
        assert answer.pid != first
        assert "did not answer" in next(event.reason for event in events if isinstance(event, TokenDown))


async def test_hung_the_caller_leaves_at_its_own_deadline(opened: OpenToken, events: list[TokenEvent]) -> None:
    async with opened(deadline_seconds=0.5, hang_grace_seconds=0.5) as token:
        os.kill(pid_of(events), signal.SIGSTOP)
        with pytest.raises(HsmTimeout):
            await token.call(SIGN, Sign("root"), deadline_seconds=0.1)
        assert [type(event) for event in events] == [TokenUp], "before it is given up"
        # The call that nobody waits for any more still shows that the process hangs.
        assert (await token.call(SIGN, Sign("next"), deadline_seconds=30)).pid == pid_of(events)
        assert token.replacements == 1


async def test_sessions_dropped_by_the_token_cost_no_call(opened: OpenToken) -> None:
    async with opened() as token:
        await token.call(SIGN, Sign("before"), deadline_seconds=30)
        await token.call(DROP_SESSIONS, Nothing(), deadline_seconds=30)
        after = await token.call(SIGN, Sign("after"), deadline_seconds=30)
        assert after.public_key.verify(b"after", after.signature)


async def test_the_token_taken_away_and_brought_back(
    opened: OpenToken, directory: Path, events: list[TokenEvent]
) -> None:
    async with opened() as token:
        await token.call(SIGN, Sign("before"), deadline_seconds=30)
        tokens = directory / "hsm/tokens"
        tokens.rename(directory / "away")

        async def call_in_vain() -> None:
            with pytest.raises(HsmUnavailable, match="the token is down"):
                await token.call(SIGN, Sign("while away"), deadline_seconds=4)

        # Two at once meet both threads: one has the key's handle, the other would look for it now.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call_in_vain)
            nursery.start_soon(call_in_vain)
        assert token.state is TokenState.DOWN
        (directory / "away").rename(tokens)
        answer = await token.call(SIGN, Sign("back"), deadline_seconds=30)
        assert answer.public_key.verify(b"back", answer.signature)
        assert isinstance(events[-1], TokenUp)


async def test_a_call_that_kills_every_process_is_given_up(opened: OpenToken) -> None:
    async with opened() as token:
        with pytest.raises(HsmUnavailable, match="5 times during die"):
            await token.call(DIE, Nothing(), deadline_seconds=60)
        assert (await token.call(SIGN, Sign("alive"), deadline_seconds=30)).signature


async def test_one_that_is_lost_again_and_again_is_replaced_later_each_time_until_it_serves(opened: OpenToken) -> None:
    async with opened() as token:
        node = token._nodes[0]
        for losses in (1, 2):
            await token.call(SIGN, Sign("root"), deadline_seconds=30)
            with pytest.raises(HsmUnavailable, match="not what it was"):
                await token.call(LOSE, Nothing(), deadline_seconds=30)
            assert node._failures == losses
        for _ in range(20):
            await token.call(SIGN, Sign("root"), deadline_seconds=30)
        with pytest.raises(HsmUnavailable):
            await token.call(LOSE, Nothing(), deadline_seconds=30)
        assert node._failures == 0


async def test_a_wrong_pin_is_tried_once_and_named(opened: OpenToken, directory: Path) -> None:
    (directory / "secrets/pin").write_text("00000000\n")
    with pytest.raises(HsmWrongPin, match=r"secrets/pin does not open token 'sottovoce'.*put the right PIN there"):
        async with opened():
            pass


async def test_a_pin_that_became_wrong_locks_the_token_after_one_try(
    opened: OpenToken, directory: Path, events: list[TokenEvent]
) -> None:
    async with opened() as token:
        (directory / "secrets/pin").write_text("00000000\n")
        os.kill(pid_of(events), signal.SIGKILL)
        with pytest.raises(HsmWrongPin):
            await token.call(SIGN, Sign("root"), deadline_seconds=30)
        with pytest.raises(HsmWrongPin):
            await token.call(SIGN, Sign("root"), deadline_seconds=30)
        assert token.state is TokenState.LOCKED
        assert [type(event) for event in events] == [TokenUp, TokenDown, TokenLocked]


async def test_each_fault_of_an_operator_is_one_line_with_a_remedy(opened: OpenToken, directory: Path) -> None:
    pin = directory / "secrets/pin"
    with pytest.raises(TokenMissing, match=r"no token is called 'other': check hsm\.token"):
        async with opened(token="other"):
            pass
    with pytest.raises(ModuleUnusable, match=r"/no/such\.so is no usable PKCS#11 library .*set hsm.module"):
        async with opened(module="/no/such.so"):
            pass
    with pytest.raises(ModuleUnusable, match=r"pin is no usable PKCS#11 library"):
        async with opened(module=str(pin)):
            pass
    with pytest.raises(
        TokenMissing, match=r"configuration .*gone\.conf cannot be read \(No such file.*set hsm.softhsm"
    ):
        async with opened(softhsm_config="gone.conf"):
            pass
    pin.chmod(0o644)
    with pytest.raises(PinUnreadable, match=r"open to others \(mode 0644\): chmod 600"):
        async with opened():
            pass
    pin.chmod(0o600)
    pin.write_text("\n")
    with pytest.raises(PinUnreadable, match="is empty or too long"):
        async with opened():
            pass
    pin.unlink()
    with pytest.raises(PinUnreadable, match=r"cannot be read \(No such file or directory\): set hsm.pin_file"):
        async with opened():
            pass


async def test_without_its_token_nothing_starts(opened: OpenToken, directory: Path) -> None:
    shutil.rmtree(directory / "hsm/tokens")
    with pytest.raises(TokenMissing, match="hsm/tokens is missing, and the token with it: restore it"):
        async with opened():
            pass


async def test_a_seed_opens_under_its_own_name_only(opened: OpenToken, sealed: SealedSeed) -> None:
    async with opened() as token:
        assert (await token.call(OPEN, Open(sealed), deadline_seconds=30)).length == 32
        for forged in (
            replace(sealed, purpose="anchor"),
            replace(sealed, algorithm="mldsa87"),
            replace(sealed, algorithm="rot13"),
            replace(sealed, serial=bytes(16)),
            replace(sealed, nonce=bytes(12)),
            replace(sealed, sealed=bytes([sealed.sealed[0] ^ 1]) + sealed.sealed[1:]),
            replace(sealed, sealed=sealed.sealed[:40]),
        ):
            with pytest.raises(SealedSeedInvalid, match=r"does not open|unknown algorithm"):
                await token.call(OPEN, Open(forged), deadline_seconds=30)
        assert token.replacements == 0


async def test_our_own_bug_in_the_process_tells_its_place_and_no_value(opened: OpenToken) -> None:
    async with opened() as token:
        with pytest.raises(TokenProcessFailed, match=r"^ZeroDivisionError at __main__:\d+$"):
            await token.call(FAIL, Sign("planted-secret"), deadline_seconds=30)


async def test_handlers_that_cannot_be_set_up_fail_the_start(opened: OpenToken) -> None:
    with pytest.raises(TokenProcessFailed, match=r"^OSError at"):
        async with opened(files={"trouble": "planted-secret"}):
            pass


async def test_a_question_the_process_does_not_know_is_refused(opened: OpenToken) -> None:
    async with opened() as token:
        with pytest.raises(OperationRefused, match="no operation 'sign_everything'"):
            await token.call(Operation("sign_everything", Sign, Nothing), Sign(""), deadline_seconds=30)
        with pytest.raises(OperationRefused, match="sign: "):
            await token.call(Operation("sign", Nothing, Nothing), Nothing(), deadline_seconds=30)


async def kill_when_busy(token: Cluster, pid: int) -> None:
    await in_flight(token, 1)
    os.kill(pid, signal.SIGKILL)
