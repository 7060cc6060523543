"""What a user is told while something runs."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """A line for the user, on the error stream: what is printed for use goes to the output."""
    print(line, file=sys.stderr, flush=True)
