"""An untrusted program in a process of its own, whose functions can be called.

The process runs under bubblewrap: no network, no files but Python's own and a small /tmp,
limits on time, memory and processes. Only plain data comes out of it (`plain`).
"""

from __future__ import annotations

import contextlib
import json
import marshal
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from ochat_eval.sandbox import cgroup
from ochat_eval.sandbox.bwrap import (
    PACKAGE_FOLDER,
    Plumbing,
    bwrap,
    is_root,
    package_folders,
    python,
)
from ochat_eval.sandbox.calls import Call, batches
from ochat_eval.sandbox.child import framed
from ochat_eval.sandbox.limits import Limits
from ochat_eval.sandbox.plain import decode
from ochat_eval.sandbox.reasons import exception, exception_reason, one_line
from ochat_eval.sandbox.workers import signal_name

_START_SECONDS = 30.0
_PACKING_SECONDS = 10.0  # processor time for packing what a call returned: 12 MB take one
_CPU_GRACE = 0.2  # seconds, and how often a program's processor time is looked at in the end
# The base of the user ids that programs run as when we are root; systemd's list of id ranges
# ("Users, Groups, UIDs and GIDs on systemd systems") has nobody there.
_FIRST_USER = 2_000_000_000
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the order of a set is the same in every run
}


class ProgramFailed(Exception):
    """The program did not load, died or broke a limit: there are no further answers."""


class Program:
    """A running untrusted program, whose functions can be called.

    A context manager. Entering loads the program; leaving kills all of its processes.

    Args:
        source: the program.
        sandbox: one of `SANDBOXES`.
        limits: what it may use.

    Attributes:
        failure: why there are no further answers, None while there are.
        raised: the last exception that `call` passed on from the program, and its reason.

    Raises:
        ProgramFailed: on entering, the program does not compile, or raises as it is executed.
        UserError: on entering, bubblewrap is not installed.
        RuntimeError: on entering, the sandbox does not start; not the program's fault.
    """

    def __init__(self, source: str, sandbox: str, limits: Limits) -> None:
        self.failure: str | None = None
        self.raised: tuple[Exception, str] | None = None
        self._source = source
        self._sandbox = sandbox
        self._limits = limits
        self._first: int | None = None
        self._group: cgroup.Group | None = None
        self._clock: int | None = None
        self._cpu_end = math.inf
        self._received = bytearray()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Program:
        try:
            self._start()
            self._deadline = time.monotonic() + self._limits.wall_seconds
            self._send(framed(marshal.dumps(self._source)))
            match self._receive():
                case ["loaded"]:
                    pass
                case ["uncompiled", str(name), str(text)]:
                    self._fail(f"does not compile: {name}: {text}")
                case ["raised", str(name), str(text)]:
                    self._fail(exception_reason(name, text))
                case _:
                    self._fail("garbled answer")
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def call(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None = None,
        *,
        seconds: float = 0.0,
        digested: bool = False,
    ) -> Any:
        """Call a function of the program.

        Args:
            name: the function's.
            args, kwargs, seconds, digested: as in `Call`.

        Returns:
            What it returned, as plain data; `Opaque` for what is none. Or its digest.

        Raises:
            Exception: what the function raised, as the built-in exception of that name, or
                RuntimeError for any other.
            ProgramFailed: the program died or broke a limit, now or in an earlier call.
            TypeError: an argument is not plain data.
        """
        [(answer, _)] = self.calls(name, [Call(args, kwargs or {}, seconds, digested)])
        return answer

    def calls(self, name: str, calls: Iterable[Call]) -> list[tuple[Any, float]]:
        """Call a function again and again, each time when the call before has returned.

        Many calls are sent at a time: the program may see what it will be called with next.

        Returns:
            Of each call what it returned, as `call`, and the processor time that it took, as
            the program's process says.

        Raises:
            Exception: as `call`; the calls that follow are not made.
        """
        answers = []
        for batch, message in batches(name, calls):
            if self.failure is not None:
                raise ProgramFailed(self.failure)
            self._cpu_end = self._cpu()
            self._send(framed(message))
            for one in batch:
                self._allow(one.seconds)
                answers.append(self._answer())
        return answers

    def _answer(self) -> tuple[Any, float]:
        """What the next call returned, and its time."""
        answer = self._receive()
        self._look()
        if answer == ["returned"]:
            self._allow(_PACKING_SECONDS)
            answer = self._receive()
        match answer:
            case ["value", value, float(taken)]:
                try:
                    return decode(value), taken
                except (ValueError, TypeError, OverflowError, RecursionError):
                    self._fail("garbled answer")
                except MemoryError:
                    self._fail("answer too large")
            case ["raised", str(kind), str(text)]:
                error = exception(kind, text)
                self.raised = error, exception_reason(kind, text)
                raise error
            case _:
                self._fail("garbled answer")

    def _allow(self, seconds: float) -> None:
        """Let what the program does next take so much processor time; 0 for no limit of its own.

        Where more of its messages have come than were read, it may have done so already: the
        time counts from the same moment as that of the messages before.
        """
        if not self._received:
            self._cpu_end = self._cpu()
        self._cpu_end += seconds or math.inf

    def _look(self) -> None:
        """Fail where what it did took too long; looked at when all that has come is read."""
        if not self._received:
            self._left()

    def _start(self) -> None:
        """Start the process and wait until it is confined."""
        self._socket, theirs = map(self._cleanup.enter_context, socket.socketpair())
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # for `_peer`
        self._group = cgroup.make(self._limits)
        if self._group is not None:
            self._cleanup.callback(self._group.remove)
        with theirs:
            if self._sandbox == "bwrap":
                self._start_isolated(theirs)
            else:
                temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
                folder = self._cleanup.enter_context(temporary)
                self._process = self._popen([*python()], theirs, folder)
                self._cleanup.callback(self._stop)
                self._limit(self._process.pid)
        self._deadline = time.monotonic() + _START_SECONDS
        try:
            self._send(framed(marshal.dumps(self._instructions())))
            self._clock = _clock_of(self._peer())
            ready = self._receive()
        except ProgramFailed as error:
            raise RuntimeError(f"the sandbox did not start: {self._complaint()}") from error
        assert ready == ["ready"], ready  # nothing untrusted has run yet
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _start_isolated(self, theirs: socket.socket) -> None:
        """Start bwrap; it does nothing before it is in the control group."""
        with Plumbing() as plumbing:
            command = [*bwrap(plumbing, self._limits.tmp_bytes), *python()]
            self._process = self._popen(command, theirs, "/", plumbing.theirs)
            self._cleanup.callback(self._stop)
            first = plumbing.first()
            if first is not None:
                self._first = os.pidfd_open(first)
                self._limit(self._process.pid, first)
            plumbing.go()

    def _popen(
        self, command: list[str], link: socket.socket, folder: str, inherited: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=link.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # the child leaves it before it runs the program
            env=_ENVIRONMENT,
            cwd=folder,
            pass_fds=inherited,
            start_new_session=self._sandbox != "bwrap",
        )

    def _limit(self, *pids: int) -> None:
        """Put processes into the program's control group, where there is one."""
        if self._group is not None:
            try:
                for pid in pids:
                    self._group.add(pid)
            except OSError as error:
                raise RuntimeError(f"no process can enter {self._group.path}: {error}") from error

    def _peer(self) -> int | None:
        """The process at the other end, as the kernel says with its first message."""
        self._socket.settimeout(self._left())
        with contextlib.suppress(OSError):  # `_receive` will say why
            _, messages, *_ = self._socket.recvmsg(1, socket.CMSG_SPACE(12), socket.MSG_PEEK)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
            for _, kind, data in messages:
                if kind == socket.SCM_CREDENTIALS:
                    return int.from_bytes(data[:4], sys.byteorder)
        return None

    def _instructions(self) -> dict[str, Any]:
        limits = self._limits
        isolated = self._sandbox == "bwrap"
        return {
            "path": [PACKAGE_FOLDER] if isolated else package_folders(),
            "die_with_parent": not isolated,
            "user": _FIRST_USER + os.getpid() if isolated and is_root() else None,
            "limits": {
                "AS": limits.memory_bytes,
                "CORE": 0,
                "CPU": limits.cpu_seconds,
                "FSIZE": limits.tmp_bytes,
                "NOFILE": 64,
                "NPROC": limits.processes,
            },
        }

    def _complaint(self) -> str:
        """What bwrap or Python wrote before it ended."""
        self._stop()
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            text = pipe.read().decode(errors="replace")
        return one_line(text) or f"exit code {self._process.returncode}"

    def _stop(self) -> None:
        """Kill all of the program's processes and wait for their end."""
        self._kill()
        self._process.wait()
        if self._first is not None:
            os.close(self._first)
            self._first = None

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            if self._first is not None:
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            elif self._process.returncode is None:
                self._process.kill()
                os.killpg(self._process.pid, signal.SIGKILL)

    def _left(self) -> float:
        """How long there may be waited for the program now, until its clocks are looked at."""
        wall, cpu = self._deadline - time.monotonic(), self._cpu_left()
        if wall <= 0 or cpu <= 0:
            self._fail("time limit")
        cores = min(self._limits.processes, os.cpu_count() or 1)  # which its threads keep busy
        return min(wall, max(cpu / cores, _CPU_GRACE))

    def _cpu_left(self) -> float:
        """Processor time that is left, also to a program that ignores signals.

        A little more than that after which a signal ends it (`child`).
        """
        return min(self._cpu_end, self._limits.cpu_seconds) + _CPU_GRACE - self._cpu()

    def _cpu(self) -> float:
        """Processor time that the program's first process has taken, all of its threads."""
        if self._clock is not None:
            with contextlib.suppress(OSError):  # it has ended
                return time.clock_gettime(self._clock)
        return 0.0

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(max(self._deadline - time.monotonic(), 1e-3))
        try:
            self._socket.sendall(data)
        except TimeoutError:
            self._fail("time limit")
        except OSError:
            self._fail(self._death())

    def _receive(self) -> Any:
        size = int.from_bytes(self._read(4), "big")
        if size > self._limits.message_bytes:
            self._fail("answer too large")
        try:
            return json.loads(self._read(size))
        except (ValueError, RecursionError):
            self._fail("garbled answer")
        except MemoryError:
            self._fail("answer too large")

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            self._socket.settimeout(self._left())
            try:
                part = self._socket.recv(1 << 20)
            except TimeoutError:
                continue  # to look at the clocks
            except ConnectionResetError:
                part = b""
            if not part:
                self._fail(self._death())
            self._received += part
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def _death(self) -> str:
        """The reason for which the connection has ended."""
        if self._first is None:
            self._kill()  # the group; what is ending by itself keeps its own status
        code = self._process.wait()  # bwrap itself holds the connection open until its end
        if self._group is not None and self._group.ran_out():
            return "memory limit"
        number = code - 128 if code > 128 else -code  # bwrap's way, or subprocess's
        if number in (signal.SIGXCPU, signal.SIGPROF):
            return "time limit"
        return f"died: {signal_name(number) if number > 0 else f'exit code {code}'}"

    def _fail(self, reason: str) -> NoReturn:
        self.failure = one_line(reason)
        self._kill()
        raise ProgramFailed(self.failure)


def _clock_of(pid: int | None) -> int | None:
    """The number of the clock that counts a process's processor time (clock_getcpuclockid(3))."""
    return None if pid is None else (~pid << 3) | 2
