"""Opens tokens: all that are configured, or one by itself."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import trio

from sottovoce.hsm.config import HsmConfig
from sottovoce.hsm.messages import Start
from sottovoce.hsm.pool.cluster import Cluster
from sottovoce.hsm.pool.dispatch import Dispatch
from sottovoce.hsm.pool.node import Node
from sottovoce.hsm.reports import NodeReport, Report, TokenTimes, Untimed
from sottovoce.hsm.seal import HsmSealed, PinLender, SealClosed, SealEvent, SealOpened

_ONLY_THE_PROXY = (
    "the tokens' PINs are sealed: only a proxy that runs and was unsealed can open tokens; ask it, or give it the work"
)

Files = Callable[[str], dict[str, str]]
"""Gives what the handlers of a node's token process read at their start."""


@asynccontextmanager
async def open_pool(  # noqa: PLR0913  what it is made of
    config: HsmConfig,
    *,
    command: Iterable[str],
    files: Files,
    report: NodeReport,
    times: TokenTimes | None = None,
    weights: Mapping[str, int] | None = None,
    create: bool = False,
    change_keys: bool = False,
    lender: PinLender | None = None,
) -> AsyncGenerator[Cluster]:
    """Start a process by `command` for every token of `config`, and keep them running until the block ends.

    The block begins as soon as one is up; one that does not start is reported, and tried again.  `config` is resolved;
    `weights` says how many turns in a row a tenant has, 1 where it names none; `create` makes the tokens first;
    `change_keys` opens what is there for having keys made and destroyed.  Where none starts, raises what kept the first
    from it: HsmWrongPin, TokenMissing, ModuleUnusable, PinUnreadable and so on.

    Where the configuration has a seal, `lender` has the PINs.  While it has none the block begins at once, without a
    process, and calls fail with HsmSealed; when it is sealed the processes are killed and what waits fails so.  Without
    a lender raises HsmSealed.
    """
    if config.seal is not None and lender is None:
        raise HsmSealed(_ONLY_THE_PROXY)
    names = tuple(config.all_nodes)
    times = times or Untimed()
    dispatch = Dispatch(config.max_waiting, weights or {}, times)

    def start(name: str, module: str) -> Start:
        node = config.all_nodes[name]
        return Start(
            module,
            node.token,
            str(node.pin) if lender is None else lender.lend(name).source,
            create,
            files(name),
            change_keys,
            name,
            node.module_arguments,
            node.vendor or "",
            node.uri,
            node.at_once,
        )

    nodes = [
        Node(
            name,
            config.all_nodes[name],
            config,
            command=command,
            start=partial(start, name),
            listener=dispatch,
            report=partial(report, name),
            lent=None if lender is None else lender.places.get(name),
        )
        for name in names
    ]
    dispatch.nodes = nodes
    try:
        with _following(lender, nodes, dispatch):
            async with trio.open_nursery() as nursery:
                for node in nodes:
                    nursery.start_soon(node.run)
                await dispatch.started.wait()
                yield Cluster(config, nodes, dispatch, times)
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The nursery is our own affair: an error of the block or of the first start comes out as it was raised.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


@contextmanager
def _following(lender: PinLender | None, nodes: Sequence[Node], dispatch: Dispatch) -> Generator[None]:
    """Have the nodes run as long as there are PINs for them, until the block ends."""
    if lender is None:
        yield
        return

    def seal() -> None:
        try:
            lender.lend(nodes[0].name)
        except HsmSealed as sealed:
            dispatch.seal(str(sealed))
            for node in nodes:
                node.seal(str(sealed))

    def take(event: SealEvent) -> None:
        if isinstance(event, SealClosed):
            seal()
        elif isinstance(event, SealOpened):
            dispatch.unseal()
            for node in nodes:
                node.unseal()

    if not lender.is_open:
        seal()
    with lender.followed_by(take):
        yield


@asynccontextmanager
async def open_token(  # noqa: PLR0913  what it is made of
    config: HsmConfig,
    *,
    command: Iterable[str],
    files: dict[str, str],
    report: Report,
    times: TokenTimes | None = None,
    create: bool = False,
    change_keys: bool = False,
) -> AsyncGenerator[Cluster]:
    """Do as `open_pool` does with one token by itself, the first of `config`."""
    async with open_pool(
        config.alone(next(iter(config.all_nodes))),
        command=command,
        files=lambda _: files,
        report=lambda _, event: report(event),
        times=times,
        create=create,
        change_keys=change_keys,
    ) as cluster:
        yield cluster
