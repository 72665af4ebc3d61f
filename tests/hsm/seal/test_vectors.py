"""The library that the lock names reads the published vectors as they are meant."""

from collections.abc import Callable

from shamir_mnemonic import MnemonicError, combine_mnemonics

from tests.vector_report import VectorRun


def test_the_vectors_of_slip_39(vector_run: Callable[[str], VectorRun]) -> None:
    with vector_run("slip39/vectors.json") as run:
        for description, mnemonics, secret, _ in run.load():
            try:
                found = combine_mnemonics(mnemonics, b"TREZOR").hex()
            except MnemonicError:
                found = ""
            run.check(description, found == secret, positive=bool(secret))
