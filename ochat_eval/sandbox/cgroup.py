"""Memory of a program as a whole, by a control group (cgroup v2) of its own.

A limit on address space (RLIMIT_AS) is one of each process, and does not see the kernel's memory
that a program can fill. A control group counts both, over all processes. It can be made where this
process may write to the tree of groups: as root, or where systemd gave a part of it to its user.
Elsewhere there is none, and `home` and `why_none` say so.

(https://docs.kernel.org/admin-guide/cgroup-v2.html; a group that hands out controllers to
groups below it holds no processes itself.)
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ochat_eval.sandbox.limits import Limits

_CONTROLLERS = {"memory", "pids"}
_REMOVAL_SECONDS = 2.0
# bwrap's two processes, the one outside and the first one inside, are in the group too.
_OF_BWRAP = 2
_COUNT = itertools.count(1)


class Group:
    """A control group for the processes of one program; made empty."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Makes it. Raises OSError where that cannot be."""
        self.path = folder / f"{_prefix()}{os.getpid()}-{next(_COUNT)}"
        self.path.mkdir()
        try:
            # /tmp counts too. A single process so meets its own limit first, a MemoryError as on
            # a machine without control groups.
            self._set("memory.max", limits.memory_bytes + limits.tmp_bytes)
            if (self.path / "memory.swap.max").exists():  # not where swap is not counted
                self._set("memory.swap.max", 0)
            self._set("memory.oom.group", 1)  # the kernel ends all or nobody
            self._set("pids.max", limits.processes + _OF_BWRAP)
        except OSError:
            self.path.rmdir()
            raise

    def _set(self, name: str, value: int) -> None:
        (self.path / name).write_text(str(value))

    def add(self, pid: int) -> None:
        """Move a process in; what it starts from then on is in the group too."""
        with contextlib.suppress(ProcessLookupError):  # it has ended
            self._set("cgroup.procs", pid)

    def ran_out(self) -> bool:
        """Whether the kernel ended it for want of memory."""
        events = (self.path / "memory.events").read_text().split()
        return dict(zip(events[::2], events[1::2], strict=True)).get("oom_kill", "0") != "0"

    def remove(self) -> None:
        """End what still runs in it, and remove it; what cannot go now, the next start removes."""
        end = time.monotonic() + _REMOVAL_SECONDS
        with contextlib.suppress(OSError):  # Linux 5.14; bwrap's processes are gone without
            self._set("cgroup.kill", 1)
        while self.path.exists() and time.monotonic() < end:
            with contextlib.suppress(OSError):  # a process is still ending
                self.path.rmdir()
                return
            time.sleep(0.001)


def make(limits: Limits) -> Group | None:
    """A group for a program; None where none can be had.

    Raises:
        RuntimeError: it could be had before, and cannot now.
    """
    folder = home()
    if folder is None:
        return None
    try:
        return Group(folder, limits)
    except OSError as error:
        raise RuntimeError(f"no control group can be made any more: {error}") from error


@functools.cache
def home() -> Path | None:
    """The group in which programs' groups are made, None where none can be.

    It is the nearest one, from this process's own upwards, so that the limits which hold for this
    process hold for its programs too. What processes that were killed have left in it is removed.
    """
    own, top = _own()
    if own is None or top is None:
        return None
    above = itertools.takewhile(lambda folder: folder != top.parent, (own, *own.parents))
    for folder in above:
        with contextlib.suppress(OSError):  # not ours to write, or it holds processes
            if _named(folder / "cgroup.controllers"):
                _hand_out(folder, own, top)
                _remove_leftovers(folder)
                _try(folder)
                return folder
    return None


def why_none() -> str:
    """Why there is no group, in a few words, where `home` is None."""
    own, _ = _own()
    if own is None:
        return "no cgroup v2 is mounted"
    if not _named(own / "cgroup.controllers"):
        return "cgroup v2 has no memory controller here"
    return "this user may not make one"


def _own() -> tuple[Path | None, Path | None]:
    """The folder of this process's group, and of the topmost one; None without cgroup v2."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    name = next((line[3:] for line in lines if line.startswith("0::")), None)
    for fields in map(str.split, Path("/proc/self/mountinfo").read_text().splitlines()):
        if name is not None and fields[fields.index("-") + 1] == "cgroup2":
            root, top = fields[3], Path(fields[4])
            inside = os.path.relpath(name, root)
            own = top / inside
            if not inside.startswith("..") and (own / "cgroup.controllers").exists():
                return own, top
    return None, None


def _named(file: Path) -> bool:
    """Whether a file names all controllers that are needed."""
    return _CONTROLLERS.issubset(file.read_text().split())


def _hand_out(folder: Path, own: Path, top: Path) -> None:
    """Let the groups below a folder limit memory. Raises OSError where that cannot be."""
    control = folder / "cgroup.subtree_control"
    if _named(control):
        return
    orders = " ".join(f"+{name}" for name in sorted(_CONTROLLERS))
    try:
        control.write_text(orders)
    except OSError:
        # It holds processes. If it was given to us alone, they can move one group down.
        given = os.geteuid() != 0 or (own == top and (own / "cgroup.type").exists())
        pids = (folder / "cgroup.procs").read_text().split()
        if folder != own or not given or not all(map(_is_ours, pids)):
            raise
        leaf = folder / f"{_prefix()}{os.getpid()}-0"
        leaf.mkdir()
        for pid in pids:
            (leaf / "cgroup.procs").write_text(pid)
        control.write_text(orders)


def _is_ours(pid: str) -> bool:
    """Whether a process is this one or one that it started."""
    while pid not in ("0", "1", str(os.getpid())):
        try:
            pid = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            return False
    return pid == str(os.getpid())


def _try(folder: Path) -> None:
    """Make a group, move a process in and remove it. Raises OSError where that cannot be."""
    group = Group(folder, Limits())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        try:
            group.add(process.pid)
        finally:
            process.kill()
            process.wait()
            group.remove()


def _prefix() -> str:
    """How groups' names begin: their numbers mean processes of this pid namespace."""
    return f"ochat-eval-{os.stat('/proc/self/ns/pid').st_ino}-"


def leftovers(folder: Path) -> Iterator[Path]:
    """The groups in a folder whose makers are dead."""
    for path in folder.glob(f"{_prefix()}*"):
        maker = re.match(r"(\d+)-", path.name.removeprefix(_prefix()))
        if maker is not None and not Path("/proc", maker[1]).exists():
            yield path


def _remove_leftovers(folder: Path) -> None:
    for path in leftovers(folder):
        with contextlib.suppress(OSError):  # another one was quicker, or a process is ending
            path.rmdir()
