"""A pool of worker processes in which every single job can be killed.

For work that may hang, crash or eat memory: model-written programs, sympy on a hostile answer.
The standard pools give up as a whole when one worker dies, and cannot stop a running job.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Literal, TypeVar

J = TypeVar("J")
T = TypeVar("T")
# What a worker says: it is ready; it cannot start (why); a job's result; it is dead or must
# be killed (`Killed`), which `_Worker.receive` also says for one that has died.
_Message = tuple[Literal["ready", "unfit", "result", "dead"], Any]
_START_SECONDS = 120.0
_FAILED_STARTS = 3  # so many in a run, and it is given up
# Not multiprocessing's spawn: that imports the parent's __main__ again in every worker, and
# leaves its resource tracker running. The worker gets this process's sys.path instead.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from ochat_eval.sandbox.workers import _serve; _serve(int(sys.argv[1]))"
)


STOP: ContextVar[Connection[Any, Any] | None] = ContextVar("STOP", default=None)
"""Set in a thread: its `run_jobs` raises `Stopped` when this can be read. A thread that waits for
workers hears of no Ctrl-C, which goes to the main thread alone."""


class Stopped(Exception):
    """`STOP` could be read: nobody wants the results any more."""


@dataclass(frozen=True)
class Killed:
    """What a job gives that was stopped or whose worker died.

    Attributes:
        reason: one line: `time limit (5 s)`, `memory limit (1024 MiB)`, `died: SIGSEGV`,
            `died: exit code 3`.
    """

    reason: str


@dataclass(frozen=True)
class Raised(Killed):
    """What a job gives whose function raised an exception.

    Attributes:
        reason: the exception in one line: `ValueError: …`.
        traceback: the whole traceback.
    """

    traceback: str


class _Worker:
    """One worker process, leader of a process group of its own, and the job that it is for.

    Attributes:
        job: (index, job) that it runs, or runs first once it is ready.
        ready: whether it has started and runs its job.
        seconds: how long its start, or its job, may take.
        deadline: `time.monotonic()` at which that is over.
    """

    def __init__(self, payload: bytes, job: tuple[int, Any]) -> None:
        self.job = job
        self.ready = False
        self.seconds = _START_SECONDS
        self.deadline = time.monotonic() + self.seconds
        self.link, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # nothing is written: its end tells that we are gone
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        with contextlib.suppress(OSError):  # dead already: `receive` will say so
            self.link.send_bytes(payload)

    def send(self, job: tuple[int, Any], seconds: float) -> bool:
        """Hand over a job; False if the worker had died before it could begin."""
        data = pickle.dumps(job[1])
        try:
            self.link.send_bytes(data)
        except OSError:
            return False
        self.job = job
        self.ready = True
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        return True

    def receive(self) -> _Message:
        """The worker's message, or how it died."""
        try:
            message: _Message = pickle.loads(self.link.recv_bytes())
        except (EOFError, OSError):
            code = self.kill()
            how = signal_name(-code) if code < 0 else f"exit code {code}"
            return "dead", Killed(f"died: {how}")
        return message

    def kill(self) -> int:
        """Kill the worker's process group and return the worker's exit status."""
        if self.process.returncode is None:  # not reaped: the number is still its own
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()  # one that was ending by itself keeps its own status
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.link.close()
        return code


def signal_name(number: int) -> str:
    """The name of a signal: `SIGKILL` for 9; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def run_jobs(
    function: Callable[[J], T],
    jobs: Iterable[J],
    *,
    workers: int,
    seconds: float,
    memory_bytes: int | None = None,
    setup: Callable[[], object] | None = None,
    here: Callable[[J], T | None] | None = None,
) -> Generator[tuple[int, T | Killed], None, None]:
    """Run `function(job)` for each job, in worker processes that are used again and again.

    Args:
        function: what to run; importable by name. It, the jobs and the results are pickled.
        jobs: pulled one by one, as workers fall idle; any number of them.
        workers: how many processes, at least 1.
        seconds: wall time that a job may take; its worker's start and imports do not count.
        memory_bytes: limit of a worker's address space (RLIMIT_AS), None for none.
        setup: run once in each worker before its first job.
        here: tried in this process first, quick and harmless; None from it: a worker's job.

    Yields:
        (place in `jobs`, result) as they finish. A job over its time or memory, or whose worker
        dies, gives `Killed`; the worker's process group is killed and replaced, no other job is
        touched. A function that raises gives `Raised`. Limits are enforced while the next pair is
        waited for. Closing the generator, and the death of this process, kill all workers.

    Raises:
        RuntimeError: the workers cannot start (`function` cannot be imported, `setup` raised).
        Stopped: see `STOP`.
    """
    if workers < 1 or seconds <= 0:
        raise ValueError(f"workers={workers} and seconds={seconds} must be positive")
    payload, queue = pickle.dumps((function, setup, memory_bytes)), enumerate(jobs)
    pool: list[_Worker] = []
    failed_starts = 0
    try:
        while len(pool) < workers and (first := (yield from _pull(queue, here))) is not None:
            pool.append(_Worker(payload, first))
        while pool:
            for worker, (kind, value) in _events(pool):
                follows: tuple[int, Any] | None = worker.job
                done = None
                if worker.ready:
                    done = worker.job[0], value
                    follows = yield from _pull(queue, here)
                elif kind != "ready":
                    failed_starts += 1
                    if kind == "unfit" or failed_starts == _FAILED_STARTS:
                        raise RuntimeError(f"a worker process cannot start: {value}")
                if kind == "dead" or follows is None or not worker.send(follows, seconds):
                    pool.remove(worker)
                    worker.kill()
                    if follows is not None:
                        pool.append(_Worker(payload, follows))
                if done is not None:
                    yield done
    finally:
        for worker in pool:
            worker.kill()


def _pull(
    queue: Iterator[tuple[int, J]], here: Callable[[J], T | None] | None
) -> Generator[tuple[int, T], None, tuple[int, J] | None]:
    """The next job for a worker; None at the end. Yields the results known here before it."""
    for place, job in queue:
        known = None if here is None else here(job)
        if known is None:
            return place, job
        yield place, known
    return None


def _events(pool: list[_Worker]) -> Iterator[tuple[_Worker, _Message]]:
    """Wait for something to happen; give each worker that has a message or is out of time."""
    first = min(worker.deadline for worker in pool)
    stop = STOP.get()
    ends = [worker.link for worker in pool] + ([] if stop is None else [stop])
    links = wait(ends, max(0.0, first - time.monotonic()))
    if stop in links:
        raise Stopped
    now = time.monotonic()
    for worker in pool.copy():
        if worker.link in links:
            yield worker, worker.receive()
        elif worker.deadline <= now:
            yield worker, ("dead", Killed(f"time limit ({worker.seconds:g} s)"))


def _serve(descriptor: int) -> None:
    """The life of a worker: runs in its process, until the parent is gone."""
    # The kernel kills the whole process group when stdin's other end, held by the parent
    # alone, closes: at once, also in the middle of a long C call.
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)
    link: Connection[Any, Any] = Connection(descriptor)
    message: _Message = ("ready", None)
    memory_bytes = None
    try:
        function, setup, memory_bytes = pickle.loads(link.recv_bytes())
        if setup is not None:
            setup()
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except Exception:  # whatever it is, the parent raises it
        message = ("unfit", traceback.format_exc())
    link.send(message)
    while True:
        try:
            job = pickle.loads(link.recv_bytes())
        except EOFError:
            return
        link.send_bytes(_outcome(function, job, memory_bytes))


def _outcome(function: Callable[[Any], Any], job: Any, memory_bytes: int | None) -> bytes:
    """The pickled message that says what came of a job."""
    message: _Message
    try:
        return pickle.dumps(("result", function(job)))
    except MemoryError:
        limit = "" if memory_bytes is None else f" ({memory_bytes >> 20} MiB)"
        message = ("dead", Killed(f"memory limit{limit}"))
    except Exception as error:  # any, by contract: handed to the caller as `Raised`
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        message = ("result", Raised(reason, traceback.format_exc()))
    return pickle.dumps(message)
