"""One key at a time from a person at a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator

_END = (b"", b"\x04")  # the terminal is gone; Ctrl-D
_ESCAPE = b"\x1b"  # begins what an arrow or a function key sends, letters included


def at_terminal() -> bool:
    """Whether a person can read and press keys here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextlib.contextmanager
def single_keys() -> Iterator[Callable[[], str]]:
    """Gives a function that waits for a key, without Enter; the terminal is as before at the end.

    The function returns the key's character, a blank for one that is no plain character, and an
    empty text where no more keys will come (Ctrl-D, a terminal that was closed). Ctrl-C raises
    KeyboardInterrupt as ever.
    """
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def key() -> str:
        try:
            pressed = os.read(fd, 1)
        except OSError:  # the terminal was closed
            return ""
        if pressed in _END:
            return ""
        if pressed == _ESCAPE:
            termios.tcflush(fd, termios.TCIFLUSH)
        return pressed.decode("ascii") if pressed.isalnum() else " "

    try:
        tty.setcbreak(fd)
        yield key
    finally:
        with contextlib.suppress(termios.error):  # of a terminal that was closed
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
