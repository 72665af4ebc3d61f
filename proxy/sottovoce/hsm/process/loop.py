"""The token process: the one process that loads the PKCS#11 library, and what it does until its parent goes.

It reads `Start` from the socket it was given, logs in, lets the packages above set up their handlers, and answers.
As many threads work as calls are answered at once, each with a token session of its own; whichever has nothing to do
reads the next question, so that a question is not handed from thread to thread.  But for what takes long, which one
more thread does, lest what is quick wait behind it.  The process ends at the end of the socket or with its parent,
whichever is seen first, and at once: nothing it holds needs a farewell.

It ignores the signals of a terminal or a service manager (INT, TERM, HUP), which reach the whole group: the proxy
still needs signatures while it drains.  It makes no core dump and cannot be traced by its own user.
"""

import ctypes
import os
import queue
import resource
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

import msgspec

from sottovoce.hsm.errors import OperationRefused
from sottovoce.hsm.messages import (
    PROBE,
    STATUS,
    Answer,
    FrameReader,
    Operation,
    Probe,
    ProbeAnswer,
    Question,
    Renewals,
    Reply,
    Request,
    Start,
    Started,
    Status,
    StatusAnswer,
    decode_message,
    decode_question,
    encode_answer,
    encode_frame,
    failure_from,
    wipe_secrets,
)
from sottovoce.hsm.process.faults import quiet_finalizers
from sottovoce.hsm.process.login import log_in
from sottovoce.hsm.process.sessions import KEYS_FOUND, LOGINS_RENEWED, SESSIONS_RENEWED
from sottovoce.hsm.process.worker import KeyName, Worker
from sottovoce.primitives import wipe_bytes

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_RECEIVE_BYTES = 65536


class Counts:
    """Counters of what the process did, by name; several threads may count."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[name] += 1

    @property
    def renewals(self) -> Renewals:
        """Those of them that tell how the token does."""
        counts = self._counts
        return Renewals(counts[SESSIONS_RENEWED], counts[LOGINS_RENEWED], counts[KEYS_FOUND])

    def snapshot(self) -> dict[str, int]:
        """Give all counters as they stand."""
        with self._lock:
            return dict(self._counts)


class Handler:
    """An operation bound to the function that answers it, without its types: what the loop needs."""

    def __init__(self, operation: Operation[Question, Answer], answer: Callable[[Worker, Question], Answer]) -> None:
        """Bind; `answer` is called in one of the worker threads."""
        self.name = operation.name
        self.is_long = operation.is_long

        def respond(worker: Worker, fields: msgspec.Raw) -> bytes:
            question = decode_question(fields, operation.question_type)
            try:
                return encode_answer(answer(worker, question))
            finally:
                wipe_secrets(question)

        self.respond = respond


Compose = Callable[[Worker, Start, Counts], Iterable[Handler]]
"""Sets up the handlers of the packages above; may raise, which fails the start."""


def run_token_process(arguments: list[str], compose: Compose) -> NoReturn:
    """Be the token process; `arguments` is the number of the inherited socket and the parent's process id."""
    channel = socket.socket(fileno=int(arguments[0]))
    _harden(parent=int(arguments[1]))
    quiet_finalizers()
    questions = _Questions(_read_frames(channel, FrameReader()))
    answers = _Answers(channel)
    first = questions.next()
    try:
        start = decode_message(first, Start)
        counts = Counts()
        sessions = log_in(start, counts.add)
        patient, *workers = [Worker(sessions) for _ in range(1 + start.at_once)]
        handlers = (*_own_handlers(counts, start), *compose(workers[0], start, counts))
    except Exception as error:  # noqa: BLE001  whatever it is, the parent is told and decides
        answers.send(encode_frame(Started(os.getpid(), failure_from(error))))
        os._exit(1)
    answers.send(encode_frame(Started(os.getpid())))
    desk = _Desk(handlers, counts, answers)
    threading.Thread(target=desk.answer_long, args=(patient,), daemon=True).start()
    for worker in workers[1:]:
        threading.Thread(target=desk.answer, args=(worker, questions), daemon=True).start()
    desk.answer(workers[0], questions)


def _harden(parent: int) -> None:
    """End with the parent, leave no core, be closed to tracers, outlive the terminal's signals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getppid() != parent:  # it went before the signal was asked for
        os._exit(0)


def _read_frames(channel: socket.socket, reader: FrameReader) -> Iterator[bytes]:
    while data := _received(channel):
        yield from reader.receive(data)
        wipe_bytes(data)


def _received(channel: socket.socket) -> bytes:
    """Give what comes; nothing at the end, which is a reset where the proxy has left answers unread."""
    try:
        return channel.recv(_RECEIVE_BYTES)
    except ConnectionResetError:
        return b""


class _Questions:
    """The way from the proxy, for several threads, which take turns at the socket; at its end the process ends."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._lock = threading.Lock()

    def next(self) -> bytes:
        with self._lock:
            body = next(self._frames, None)
            if body is None:
                os._exit(0)
        return body


class _Answers:
    """The way back to the proxy; several threads answer, one frame at a time, which is overwritten when it is sent."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def send(self, frame: bytes) -> None:
        with self._lock:
            try:
                self._channel.sendall(frame)
            except OSError:  # the proxy is gone
                os._exit(0)
        wipe_bytes(frame)


def _own_handlers(counts: Counts, start: Start) -> Iterable[Handler]:
    started = time.monotonic()

    def status(_: Worker, __: Status) -> StatusAnswer:
        return StatusAnswer(os.getpid(), time.monotonic() - started, counts.snapshot())

    def probe(worker: Worker, _: Probe) -> ProbeAnswer:
        if not start.create:
            # Signed with the serving key, since no other key proves that this one works.  The label is no protocol
            # string and the rest is random, so the signature is good for nothing else; `sign` verifies it.
            worker.sign(KeyName.SERVING, b"sottovoce.v1 probe\x00" + os.urandom(32))
        return ProbeAnswer()

    yield Handler(STATUS, status)
    yield Handler(PROBE, probe)


class _Desk:
    """Where threads answer questions, each with its own session."""

    def __init__(self, handlers: Iterable[Handler], counts: Counts, answers: _Answers) -> None:
        self._handlers = {handler.name: handler for handler in handlers}
        self._counts = counts
        self._answers = answers
        self._long: queue.SimpleQueue[tuple[bytes, Request]] = queue.SimpleQueue()

    def answer_long(self, worker: Worker) -> NoReturn:
        """Answer what others lay aside."""
        while True:
            body, request = self._long.get()
            self._answer(worker, body, request)

    def answer(self, worker: Worker, questions: _Questions) -> NoReturn:
        """Answer, and lay aside what takes long."""
        while True:
            body = questions.next()
            request = decode_message(body, Request)
            handler = self._handlers.get(request.operation)
            if handler is not None and handler.is_long:
                self._long.put((body, request))
            else:
                self._answer(worker, body, request)

    def _answer(self, worker: Worker, body: bytes, request: Request) -> None:
        self._answers.send(self._reply(worker, request))
        wipe_bytes(body)

    def _reply(self, worker: Worker, request: Request) -> bytes:
        handler = self._handlers.get(request.operation)
        if handler is None:
            unknown = OperationRefused(f"this token process has no operation {request.operation!r}")
            return self._failure(request, unknown)
        try:
            fields = handler.respond(worker, request.fields)
            try:
                return encode_frame(Reply(request.id, msgspec.Raw(fields), None, self._counts.renewals))
            finally:
                wipe_bytes(fields)
        except msgspec.ValidationError as error:
            return self._failure(request, OperationRefused(f"{request.operation}: {error}"))
        except Exception as error:  # noqa: BLE001  one call's failure, told to its caller
            return self._failure(request, error)

    def _failure(self, request: Request, error: Exception) -> bytes:
        return encode_frame(Reply(request.id, failure=failure_from(error), renewals=self._counts.renewals))
