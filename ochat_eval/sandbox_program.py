"""An untrusted program in a process of its own, whose functions can be called.

The process runs under bubblewrap: no network, no files but Python's own and a small /tmp,
limits on time, memory and processes. Only plain data comes out of it (`sandbox_child`).
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from ochat_eval.records import UserError
from ochat_eval.sandbox_child import decode, encode, frame
from ochat_eval.workers import signal_name

SANDBOXES = ("bwrap", "none")
"""`bwrap`: bubblewrap. `none`: unsafe, the program can do whatever the user who runs it can;
only the limits hold, and for root not the one on processes."""

_START_SECONDS = 30.0
# The base of the user ids that programs run as when we are root; systemd's list of id ranges
# ("Users, Groups, UIDs and GIDs on systemd systems") has nobody there.
_FIRST_USER = 2_000_000_000
# Solutions may import these; the rest of site-packages holds, among others, the answers.
_PACKAGES = ("numpy",)
_PACKAGE_FOLDER = "/packages"  # in the sandbox
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the order of a set is the same in every run
}


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        wall_seconds: time for loading the program and all calls together.
        cpu_seconds: processor time of each of its processes.
        memory_bytes: address space of each of its processes.
        processes: processes and threads at a time.
        tmp_bytes: all it may write to /tmp.
        message_bytes: the longest answer to one call, encoded.
    """

    wall_seconds: float = 20.0
    cpu_seconds: int = 5
    memory_bytes: int = 1 << 30
    processes: int = 8
    tmp_bytes: int = 16 << 20
    message_bytes: int = 16 << 20


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
        seconds: processor time of the last call, as the program's process says.

    Raises:
        ProgramFailed: on entering, the program does not compile, or raises as it is executed.
        UserError: on entering, bubblewrap is not installed.
        RuntimeError: on entering, the sandbox does not start; not the program's fault.
    """

    def __init__(self, source: str, sandbox: str, limits: Limits) -> None:
        self.failure: str | None = None
        self.raised: tuple[Exception, str] | None = None
        self.seconds = 0.0
        self._source = source
        self._sandbox = sandbox
        self._limits = limits
        self._first: int | None = None
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Program:
        try:
            self._start()
            self._deadline = time.monotonic() + self._limits.wall_seconds
            self._send(self._source)
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
            args, kwargs: plain data (`sandbox_child.encode`); what the function does to them
                is not seen here.
            seconds: processor time that the call may take, 0 for what is left of the limits.
            digested: whether only the `sandbox_child.digest` of what it returns is wanted.

        Returns:
            What it returned, as plain data; `Opaque` for what is none. Or its digest.

        Raises:
            Exception: what the function raised, as the built-in exception of that name, or
                RuntimeError for any other.
            ProgramFailed: the program died or broke a limit, now or in an earlier call.
            TypeError: an argument is not plain data.
        """
        if self.failure is not None:
            raise ProgramFailed(self.failure)
        packed = [encode(part, strict=True) for part in (list(args), dict(kwargs or {}))]
        self._send([name, *packed, seconds, digested])
        match self._receive():
            case ["value", value, float(taken)]:
                self.seconds = taken
                try:
                    return decode(value)
                except (ValueError, TypeError, OverflowError, RecursionError):
                    self._fail("garbled answer")
            case ["raised", str(kind), str(text)]:
                error = _exception(kind, text)
                self.raised = error, exception_reason(kind, text)
                raise error
            case _:
                self._fail("garbled answer")

    def _start(self) -> None:
        """Start the process and wait until it is confined."""
        bwrap = self._sandbox == "bwrap"
        self._socket, theirs = map(self._cleanup.enter_context, socket.socketpair())
        folder = "/"
        if not bwrap:
            temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            folder = self._cleanup.enter_context(temporary)
        read_end, write_end = os.pipe()
        with open(read_end, "rb") as info:
            with theirs, open(write_end, "wb"):
                self._process = subprocess.Popen(
                    [*(_bwrap(write_end, self._limits.tmp_bytes) if bwrap else []), *_python()],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,  # the child leaves it before it runs the program
                    env=_ENVIRONMENT,
                    cwd=folder,
                    pass_fds=[write_end] if bwrap else [],
                    start_new_session=not bwrap,
                )
            self._cleanup.callback(self._stop)
            self._deadline = time.monotonic() + _START_SECONDS
            try:
                self._send(self._instructions())
                ready = self._receive()
            except ProgramFailed as error:
                raise RuntimeError(f"the sandbox did not start: {self._complaint()}") from error
            assert ready == ["ready"], ready  # nothing untrusted has run yet
            if bwrap:
                # The first process of the sandbox: all others in there die with it.
                self._first = os.pidfd_open(json.load(info)["child-pid"])
            assert self._process.stderr is not None
            self._process.stderr.close()

    def _instructions(self) -> dict[str, Any]:
        limits = self._limits
        bwrap = self._sandbox == "bwrap"
        return {
            "path": [_PACKAGE_FOLDER] if bwrap else _package_folders(),
            "die_with_parent": not bwrap,
            "user": _FIRST_USER + os.getpid() if bwrap and _is_root() else None,
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

    def _limit_time(self) -> None:
        """Let the next use of the socket take no longer than there is time left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            self._fail("time limit")
        self._socket.settimeout(left)

    def _send(self, message: Any) -> None:
        self._limit_time()
        try:
            self._socket.sendall(frame(message))
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

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._limit_time()
            try:
                part = self._socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                self._fail("time limit")
            except ConnectionResetError:
                part = b""
            if not part:
                self._fail(self._death())
            data += part
        return bytes(data)

    def _death(self) -> str:
        """The reason for which the connection has ended."""
        if self._first is None:
            self._kill()  # the group; what is ending by itself keeps its own status
        code = self._process.wait()  # bwrap itself holds the connection open until its end
        number = code - 128 if code > 128 else -code  # bwrap's way, or subprocess's
        if number in (signal.SIGXCPU, signal.SIGPROF):
            return "time limit"
        return f"died: {signal_name(number) if number > 0 else f'exit code {code}'}"

    def _fail(self, reason: str) -> NoReturn:
        self.failure = one_line(reason)
        self._kill()
        raise ProgramFailed(self.failure)


def one_line(text: str) -> str:
    """Untrusted text as one short line of printable characters."""
    words = "".join(c if c.isprintable() else " " for c in text[:1000]).split()
    line = " ".join(words)
    return line if len(line) <= 200 else line[:199] + "…"


def exception_reason(name: str, text: str) -> str:
    """What an exception, of the program or over its answers, is called in a verdict."""
    if name == "MemoryError":
        return "memory limit"
    return one_line(f"exception: {name}: {text}")


def _exception(name: str, text: str) -> Exception:
    """The built-in exception of that name, or RuntimeError for any other."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # UnicodeDecodeError wants five arguments
            return kind(text)
    return RuntimeError(f"{name}: {text}")


def _is_root() -> bool:
    """Whether this is root itself, not a user that a user namespace calls root."""
    ids = Path("/proc/self/uid_map").read_text().split()
    return os.geteuid() == 0 and ids == ["0", "0", "4294967295"]


def _python() -> list[str]:
    """The command of the sandboxed Python: the interpreter behind any virtual environment."""
    binary = Path(
        sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    child = Path(__file__).with_name("sandbox_child.py").read_text()
    # -s -P -S: no site-packages of any kind, no current folder. Not -I, which would ignore
    # PYTHONHASHSEED; the environment is ours.
    return [str(binary), "-s", "-P", "-S", "-c", child]


def _package_folders() -> list[str]:
    """The folders in which those of `_PACKAGES` lie that are installed."""
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]
    places = [place for spec in specs if spec for place in spec.submodule_search_locations or ()]
    return sorted({str(Path(place).parent) for place in places})


@functools.cache
def _bwrap_files() -> list[str]:
    """bwrap's options for the files: shared libraries, Python's own, `_PACKAGES`, devices."""
    libraries = {f"{root}/{lib}" for root in ("/usr", sys.base_prefix) for lib in ("lib", "lib64")}
    places = {place: place for place in (*sorted(libraries), "/etc/ld.so.cache", _python()[0])}
    for folder in _package_folders():
        for name in _PACKAGES:
            for part in (name, f"{name}.libs"):  # where wheels keep their shared libraries
                places[f"{_PACKAGE_FOLDER}/{part}"] = f"{folder}/{part}"
    options: list[str] = []
    for folder in ("/lib", "/lib64"):
        if os.path.islink(folder):
            options += ["--symlink", os.readlink(folder), folder]
        else:
            places[folder] = folder
    for inside, outside in places.items():
        # --dir: the folders above, which bwrap otherwise makes for their owner only.
        if os.path.exists(outside):
            options += ["--dir", os.path.dirname(inside), "--ro-bind", outside, inside]
    for library in sorted(libraries):
        for packages in Path(library).glob("python*/*-packages"):
            options += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    options += ["--dir", "/dev"]
    for device in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
        options += ["--dev-bind", device, device]
    return options


def _bwrap(info_fd: int, tmp_bytes: int) -> list[str]:
    """The bwrap command, to stand before Python's."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise UserError(
            "sandbox=bwrap: bubblewrap is not installed: apt-get install bubblewrap, or accept the "
            "risk of sandbox=none"
        )
    known = _bwrap_help(bwrap)
    command = [bwrap, "--info-fd", str(info_fd), "--die-with-parent", "--new-session"]
    command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
    if _is_root():
        # The kernel limits nobody's processes who is root outside, whatever the namespace.
        # So no user namespace, and the child becomes an ordinary user (`_confine`).
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += [
            "--unshare-user",
            *(["--disable-userns"] if "--disable-userns" in known else []),
        ]
    command += _bwrap_files()
    if "--size" in known:  # bubblewrap 0.7; before, /tmp cannot be limited and is read-only
        command += ["--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", "/tmp"]
    return [*command, "--dir", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--"]


@functools.cache
def _bwrap_help(bwrap: str) -> str:
    return subprocess.run([bwrap, "--help"], check=True, capture_output=True, text=True).stdout
