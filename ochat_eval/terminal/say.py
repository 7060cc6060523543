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
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ochat_eval.records import UserError
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
    """What was asked for, on the output: a table, a path.

    Raises:
        UserError: it cannot be written there.
        BrokenPipeError: nobody reads it any more.
    """
    if not _voices[-1].speaks:
        _LOG.info("%s", plain(text, _KEPT))
        return
    try:
        print(plain(text, _KEPT), end=end, flush=flush)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise UserError(f"the output cannot be written: {e.strerror}") from e


def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's report of a mistake of ours, as `sys.excepthook`: it may quote others, too."""
    say("".join(traceback.format_exception(kind, error, trace)).rstrip())


def bar(
    what: str, unit: str, total: int | None = None, *, delay: float = 2, timed: bool = True
) -> Any:
    """Progress on the error stream: a bar at a terminal, a line every ten seconds elsewhere.

    Args:
        what: stands before it: `score`.
        unit: what is counted, in the plural: `scores`.
        total: how many there are; None where nobody knows.
        delay: seconds before a bar is shown at all.
        timed: whether rate and time left are reckoned from what is counted.

    Returns:
        A tqdm bar or `Lines`: a context manager with `update`.
    """
    voice_now = _voices[-1]
    if voice_now.bars and not voice_now.notebook and not sys.stderr.isatty():
        return Lines(plain(what), plain(unit), total)
    module = importlib.import_module("tqdm.auto" if voice_now.notebook else "tqdm")
    made = module.tqdm(
        total=total,
        desc=plain(what),
        unit=f" {plain(unit)}",
        delay=delay,
        dynamic_ncols=True,
        smoothing=0.05,
        mininterval=_MOVES,
        file=sys.stderr,
        bar_format=None if timed else _UNTIMED,
        disable=not voice_now.bars,
    )
    made.mininterval = _MOVES  # one that is not shown has none
    return made


_MOVES = 0.5
"""Seconds between two moves of a bar."""
_UNTIMED = "{desc}: {percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt}{postfix}"


class Lines:
    """Progress where nothing can move, as in a log: a line every ten seconds. It has what is asked
    of a tqdm bar here.

    Attributes:
        n, total: what has been counted, and all that there is; None where nobody knows.
        mininterval: seconds between two lines.
    """

    mininterval = 10.0

    def __init__(self, what: str, unit: str, total: int | None):
        self.n, self.total = 0, total
        self._what, self._unit, self._more = what, unit, ""
        self._shown = time.monotonic()
        self._said: int | None = None

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Counts on."""
        self.n += n
        if time.monotonic() - self._shown >= self.mininterval:
            self._say()

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """What is said behind the count."""
        self._more = text
        if refresh:
            self._say()

    def _say(self) -> None:
        self._shown, self._said = time.monotonic(), self.n
        of = "" if self.total is None else f" of {self.total:,}"
        more = f"; {self._more}" if self._more else ""
        say(f"{self._what}: {self.n:,}{of} {self._unit}{more}")

    def close(self) -> None:
        """Says where it ended, if anything was said before."""
        if self._said is not None and self._said != self.n:
            self._say()
