"""Makes the seal of a directory: its tokens' PINs under a key that is split among people, and in no file any more.

    the shares are shown ─▶ enough of them come back ─▶ the seal is written ─▶ the configuration names it ─▶ PINs go

Until enough have come back nothing has happened.  A start of the proxy finishes what was broken off after that.
"""

import tomllib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from sottovoce.app.anchors import locked, place_of
from sottovoce.app.hsm.opening import Tokens, TokensRefused, refuse_while_it_serves, tokens_of
from sottovoce.app.staging import replace_file
from sottovoce.hsm.process.pin import read_pin
from sottovoce.hsm.seal import Collector, SealConfig, SealError, SealStore, erase_pin_file, new_seal
from sottovoce.primitives import Secret
from sottovoce.settings import build
from sottovoce.transport import SystemEntropy

_SECTION = "\n[hsm.seal]\n"

Show = Callable[[Sequence[Secret]], None]
"""Shows the shares, which are wiped when it returns."""
AskBack = Callable[[int, int], Secret]
"""Asks for a share, of which so many are there and so many wanted; it is wiped by whoever asked."""
Complain = Callable[[str], None]


def make_seal(  # noqa: PLR0913  what it is to be, and the person before it
    directory: Path, wanted: int, count: int, *, show: Show, ask_back: AskBack, complain: Complain
) -> Path:
    """Seal a directory's PINs so that `wanted` of `count` shares open them; give the seal's file.

    `complain` is told what is wrong with a share, which is then asked for again.  Raises SottovoceError.
    """
    tokens = tokens_of(directory)
    text = _with_seal(tokens)
    with locked(place_of(directory)):
        refuse_while_it_serves(tokens)
        seal = SealConfig().resolved(tokens.base)
        store = SealStore(Path(seal.file), Path(seal.state_file))
        if store.record.exists():
            raise TokensRefused(f"{store.record} is a seal already: move it away, if nobody has its shares")
        with ExitStack() as stack:
            pins = {name: stack.enter_context(read_pin(each.config.pin)) for name, each in tokens.places.items()}
            made = new_seal(pins, wanted, count, SystemEntropy())
            for share in made.shares:
                stack.callback(share.wipe)
            show(made.shares)
        _see_enough_again(Collector(made.record), wanted, ask_back, complain)
        store.create_record(made.record)
        replace_file(tokens.file.resolve(), text.encode(), tokens.file.stat().st_mode & 0o777)
        for each in tokens.places.values():
            if (path := each.config.pin_path) is not None:
                erase_pin_file(path)
    return store.record


def _see_enough_again(collector: Collector, wanted: int, ask_back: AskBack, complain: Complain) -> None:
    """See that what was shown was also written down, and opens the seal."""
    with collector:
        while not collector.is_complete:
            with ask_back(collector.have, wanted) as share:
                try:
                    collector.add(share)
                except SealError as error:
                    complain(str(error))
        for pin in collector.open().values():
            pin.wipe()


def _with_seal(tokens: Tokens) -> str:
    """Give the configuration's text with the seal in it.  Raises TokensRefused, ConfigurationInvalid."""
    if tokens.configuration.hsm.seal is not None:
        raise TokensRefused(f"{tokens.file} names a seal already: sottovoce hsm unseal opens it in a proxy that runs")
    for each in tokens.places.values():
        if each.config.pin_path is None:
            text = f"the PIN of token {each.name} comes from {each.config.pin}: put it into a file to have it sealed"
            raise TokensRefused(text)
    whole = f"{tokens.file.read_text('utf-8-sig').rstrip()}\n{_SECTION}"
    try:
        build(tomllib.loads(whole))
    except tomllib.TOMLDecodeError:
        raise TokensRefused(f"{tokens.file} has [hsm] in one line: write it as a section") from None
    return whole
