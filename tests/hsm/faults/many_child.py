"""Many sessions of one token at work in one process, a thread for each.  Its argument is `Many`, it prints `Made`."""

import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec

from sottovoce.hsm import Counts, HsmError, KeyName, Start, Worker
from sottovoce.hsm.process.login import log_in


class Many(msgspec.Struct):
    """How much work there is: for each thread so many signatures, and for all so many seconds at least."""

    start: Start
    threads: int
    signatures: int
    seconds: float


class Made(msgspec.Struct):
    """What came of it."""

    signed: int
    failed: dict[str, int]
    renewed: dict[str, int]
    descriptors: int
    threads: int
    peak_rss_kib: int


def main(many: Many) -> Made:
    counts, failed, signed = Counts(), Counter[str](), 0
    sessions = log_in(many.start, counts.add)
    together, lock, end = threading.Barrier(many.threads), threading.Lock(), time.monotonic() + many.seconds

    def work(worker: Worker) -> None:
        nonlocal signed
        mine, done = Counter[str](), 0
        together.wait()
        while done + mine.total() < many.signatures or time.monotonic() < end:
            try:
                worker.sign(KeyName.SERVING, os.urandom(16))  # verifies it
                done += 1
            except HsmError as error:
                mine[f"{type(error).__name__}: {error}"] += 1
        with lock:
            signed += done
            failed.update(mine)

    running = [threading.Thread(target=work, args=(Worker(sessions),)) for _ in range(many.threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return Made(
        signed,
        failed,
        counts.snapshot(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        peak_rss_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


if __name__ == "__main__":
    os.write(1, msgspec.json.encode(main(msgspec.json.decode(sys.argv[1], type=Many))))
    os._exit(0)
