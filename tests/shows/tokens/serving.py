"""`sottovoce serve` over token processes that record what they sign; it records which roots stand for one batch.

A batch has a root of its own for each node that is asked to sign it; only here is it known that they belong together.
"""

import sys
from itertools import count

from sottovoce.app.serving import parts
from sottovoce.cli import main
from sottovoce.identity import RootSignatures, SignRoot, batch, batcher
from tests.shows.tokens.records import Asked, Delivered, Writer, now, queued_seconds

_NUMBERS = count()


class RecordedBatch(batch.Batch):
    """A batch that writes down who is asked and who answers."""

    writer: Writer

    def ask(self, node: str) -> SignRoot | None:
        question = super().ask(node)
        if question is not None:
            self.writer.write(Asked(self.number, node, question.root.hex(), now(), queued_seconds("self")))
        return question

    def finish(self, node: str, signatures: RootSignatures) -> bytes:
        root = super().finish(node, signatures)
        self.writer.write(Delivered(self.number, node, root.hex(), now()))
        return root

    @property
    def number(self) -> int:
        if not hasattr(self, "_number"):
            self._number = next(_NUMBERS)
        return self._number


if __name__ == "__main__":
    RecordedBatch.writer = Writer("proxy")
    batcher.Batch = RecordedBatch  # type: ignore[attr-defined]
    parts.COMMAND = (sys.executable, "-m", "tests.shows.tokens.signer")  # type: ignore[attr-defined, assignment]
    main(sys.argv[1:])
