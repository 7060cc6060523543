"""What a user is told: lines, tables, a bar with rate and time left.

Nothing else prints; who calls from Python is told nothing unless they ask for it (`voice`), and
lines go to Python's log `ochat_eval`. Texts of models, servers, files and people come in what is
said here, and one with an escape sequence could rewrite the screen or worse: what cannot be printed
is replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ochat_eval.terminal.words import plain

_KEPT = "\n\t"
_LOG = logging.getLogger("ochat_eval")


@dataclass(frozen=True)
class Voice:
    """How what is said is said.

    Attributes:
        speaks: lines and tables are printed; otherwise they are logged, at the level INFO.
        bars: progress bars are shown.
        notebook: bars are those that a notebook draws, where this is one (`tqdm.auto`).
    """

    speaks: bool = True
    bars: bool = True
    notebook: bool = False


_voices = [Voice()]


@contextlib.contextmanager
def voice(chosen: Voice) -> Iterator[None]:
    """Speaks so for a while, in all threads."""
    _voices.append(chosen)
    try:
        yield
    finally:
        _voices.pop()


def say(line: str) -> None:
    """A line for the user, on the error stream: what is printed for use goes to the output."""
    if not _voices[-1].speaks:
        _LOG.info("%s", plain(line, _KEPT))
        return
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)  # where one is shown, it goes above it
    with bars.external_write_mode(sys.stderr) if bars else contextlib.nullcontext():
        print(plain(line, _KEPT), file=sys.stderr, flush=True)


def tell(text: str, end: str = "\n", flush: bool = False) -> None:
    """What was asked for, on the output: a table, a path."""
    if not _voices[-1].speaks:
        _LOG.info("%s", plain(text, _KEPT))
        return
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
    module = importlib.import_module("tqdm.auto" if _voices[-1].notebook else "tqdm")
    moving = sys.stderr.isatty()
    interval = 0.5 if moving else 10
    made = module.tqdm(
        total=total,
        desc=plain(what),
        unit=f" {plain(unit)}",
        delay=delay,
        dynamic_ncols=moving,
        smoothing=0.05,
        mininterval=interval,
        file=sys.stderr,
        disable=not _voices[-1].bars,
    )
    made.mininterval = interval  # one that is not shown has none
    return made
