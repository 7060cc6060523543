"""What a user is told: lines, tables, a bar with rate and time left.

Nothing else prints. Texts of models, servers, files and people come in what is said here, and one
with an escape sequence could rewrite the screen or worse: what cannot be printed is replaced.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from types import TracebackType
from typing import Any

from ochat_eval.terminal.words import plain

_KEPT = "\n\t"


def say(line: str) -> None:
    """A line for the user, on the error stream: what is printed for use goes to the output."""
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)  # where one is shown, it goes above it
    with bars.external_write_mode(sys.stderr) if bars else contextlib.nullcontext():
        print(plain(line, _KEPT), file=sys.stderr, flush=True)


def tell(text: str, end: str = "\n", flush: bool = False) -> None:
    """What was asked for, on the output: a table, a path."""
    print(plain(text, _KEPT), end=end, flush=flush)


def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's report of a mistake of ours, as `sys.excepthook`: it may quote others, too."""
    say("".join(traceback.format_exception(kind, error, trace)).rstrip())


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
        desc=plain(what),
        unit=f" {plain(unit)}",
        delay=delay,
        dynamic_ncols=moving,
        smoothing=0.05,
        mininterval=0.5 if moving else 10,
        file=sys.stderr,
    )
