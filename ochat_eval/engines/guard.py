"""Ends what this process has started when it dies, however it dies.

vLLM's engine has processes of its own, which would live on after a SIGKILL and hold the GPU's
memory, while the model is loaded as well as later. So a small process watches over this one; this
file is its program, too, and imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

_SECONDS = 0.3
"""Between two looks; what is started later than the last look before a death is missed."""


class Guard:
    """Watches over this process from now on."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stand_down(self) -> None:
        """Ends the watch; nothing is killed."""
        self._process.kill()
        self._process.wait()


def descendants(pid: int) -> dict[int, str]:
    """The processes that a process has started, and these: pid and time of start.

    The time tells a process from a later one with its number.
    """
    children: list[str] = []
    with contextlib.suppress(OSError):  # it has ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += file.read().split()
    found: dict[int, str] = {}
    for child in map(int, children):
        with contextlib.suppress(OSError):
            found[child] = _start(child)
        found |= descendants(child)
    return found


def _start(pid: int) -> str:
    """When a process was started (proc(5), stat: starttime); OSError if there is none."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]


def watch(pid: int) -> None:
    """Kills the descendants of this process's parent, `pid`, once that is dead."""
    known: dict[int, str] = {}
    while os.getppid() == pid:
        known = descendants(pid)
        time.sleep(_SECONDS)
    for child in list(known):
        known |= descendants(child)
    known.pop(os.getpid(), None)
    for child, start in known.items():
        with contextlib.suppress(OSError):
            if _start(child) == start:
                os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]))
