"""Many sessions of one token at work in one process, a thread for each.  Its argument is `Many`, it prints `Made`."""

import math
import os
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


class Look(msgspec.Struct):
    """What must not grow."""

    descriptors: int
    threads: int
    objects: int
    rss_kib: int


class Made(msgspec.Struct):
    """What came of it, and how the process looked after a tenth of the work and after all."""

    signed: int
    failed: dict[str, int]
    renewed: dict[str, int]
    early: Look
    late: Look


def main(many: Many) -> Made:
    counts, failed, signed = Counts(), Counter[str](), 0
    sessions = log_in(many.start, counts.add)
    together, lock = threading.Barrier(many.threads + 1), threading.Lock()

    def work(worker: Worker) -> None:
        for part in (0.1, 0.9):
            together.wait()
            work_on(worker, math.ceil(many.signatures * part), many.seconds * part)
            together.wait()
        together.wait()

    def work_on(worker: Worker, signatures: int, seconds: float) -> None:
        nonlocal signed
        mine, done, end = Counter[str](), 0, time.monotonic() + seconds
        while done + mine.total() < signatures or time.monotonic() < end:
            try:
                worker.sign(KeyName.SERVING, os.urandom(16))  # verifies it
                done += 1
            except HsmError as error:
                mine[f"{type(error).__name__}: {error}"] += 1
        with lock:
            signed += done
            failed.update(mine)

    observer = Worker(sessions)
    for _ in range(many.threads):
        threading.Thread(target=work, args=(Worker(sessions),)).start()
    looks: list[Look] = []
    for _ in range(2):
        together.wait()
        together.wait()
        looks.append(look(observer))
    together.wait()
    return Made(signed, failed, counts.snapshot(), *looks)


def look(worker: Worker) -> Look:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Look(
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=int(status["Threads"]),
        objects=worker.attempt(lambda session: len(list(session.get_objects()))),
        rss_kib=int(status["VmRSS"].split()[0]),
    )


if __name__ == "__main__":
    os.write(1, msgspec.json.encode(main(msgspec.json.decode(sys.argv[1], type=Many))))
    os._exit(0)
