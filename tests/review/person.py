"""A person at a real terminal: `python -m ochat_eval read` on a pty, with keys pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import environment

ASKED = "q quit: "
_SECONDS = 60.0  # for a start on a busy machine


class Person:
    """What stands on the screen so far, and keys to press."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int):
        self.process, self.fd, self.screen = process, fd, ""

    def sees(self, text: str, times: int = 1) -> str:
        """Waits until a text stands on the screen so many times; returns the screen."""
        end = time.monotonic() + _SECONDS
        while self.screen.count(text) < times:
            assert self._more(end), f"no {text!r} ({times}) in:\n{self.screen}"
        return self.screen

    def presses(self, keys: str) -> None:
        """Presses keys one by one, each when asked for it."""
        for key in keys:
            asked = self.screen.count(ASKED)
            if not asked:
                self.sees(ASKED)
                asked = 1
            os.write(self.fd, key.encode())
            if key not in "rwub":
                continue
            end = time.monotonic() + _SECONDS
            while self.screen.count(ASKED) <= asked and self._more(end):
                pass

    def leaves(self) -> int:
        """Waits until the command has ended; returns its exit code."""
        end = time.monotonic() + _SECONDS
        while self._more(end):
            pass
        return self.process.wait(_SECONDS)

    def _more(self, end: float) -> bool:
        """Reads on; False at the end of all output."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"nothing more came:\n{self.screen}"
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


def _at_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # A shell that starts tests in the background has them, and what they start, ignore it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def reading(folder: Path, *arguments: str) -> Iterator[Person]:
    """Starts `ochat-eval read` in a folder, on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ochat_eval", "read", *arguments],
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(COLUMNS="80"),
        start_new_session=True,
        preexec_fn=_at_the_terminal,  # noqa: PLW1509 (no threads)
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Person(process, ours)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
