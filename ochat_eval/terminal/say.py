"""What a user is told while something runs: a line, or a bar with rate and time left."""

from __future__ import annotations

import sys
from typing import Any


def say(line: str) -> None:
    """A line for the user, on the error stream: what is printed for use goes to the output."""
    print(line, file=sys.stderr, flush=True)


def bar(what: str, unit: str, total: int | None = None, *, delay: float = 2) -> Any:
    """A progress bar on the error stream; at a terminal it moves, in a pipe or log it is rare.

    Args:
        what: stands before it: `score`.
        unit: what is counted, in the plural: `scores`.
        total: how many there are; None where nobody knows.
        delay: seconds before it is shown at all.

    Returns:
        A tqdm bar: a context manager with `update`.
    """
    from tqdm import tqdm

    moving = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=what,
        unit=f" {unit}",
        delay=delay,
        dynamic_ncols=moving,
        smoothing=0.05,
        mininterval=0.5 if moving else 10,
        file=sys.stderr,
    )
