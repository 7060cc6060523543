"""What a measurement needs: a command's cost, sides that run in turn, and the table of results."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import Any, TypeVar

from ochat_eval.records import UserError
from ochat_eval.terminal.grid import grid
from ochat_eval.terminal.say import say

PAIRS = 3
"""How often each side of a comparison runs, in turn."""
FEW_PAIRS = 2
"""The same, where a run takes a minute on two cores."""

_SAMPLE_SECONDS = 0.05
T = TypeVar("T")


@dataclass(frozen=True)
class Claim:
    """A ratio, and what it should be.

    Attributes:
        what: of what to what.
        goal: the most that it should be; None where there is only a figure.
        measured: the median over the pairs.
        noise: half the distance between the least and the greatest; None for one pair.
    """

    what: str
    goal: float | None
    measured: float
    noise: float | None

    @property
    def verdict(self) -> str:
        """Whether the goal is met; whatever the noise leaves open is not told."""
        if self.goal is None:
            return ""
        if self.noise is None or abs(self.measured - self.goal) < self.noise:
            return "too noisy to say"
        return "ok" if self.measured <= self.goal else "missed"


def claim(
    what: str, ours: Sequence[float], theirs: Sequence[float], *, goal: float | None = None
) -> Claim:
    """What the pairs of runs say of ours / theirs."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    noise = (max(ratios) - min(ratios)) / 2 if len(ratios) > 1 else None
    return Claim(what, goal, ratio(ours, theirs), noise)


@dataclass(frozen=True)
class Table:
    """The result of a measurement.

    Attributes:
        title: what was measured, in words.
        headers: the columns' names.
        rows: the cells, as they are printed.
        seconds: by side, the seconds of each of its runs, in the order of the pairs.
        claims: the ratios in it.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    claims: Sequence[Claim] = ()

    def text(self) -> str:
        """The table for a terminal."""
        body = grid(self.rows, self.headers, "simple")
        return f"{self.title}\n{body}\n"


@dataclass(frozen=True)
class Cost:
    """A command's cost.

    Attributes:
        seconds: wall time, start included.
        mib: peak resident memory of the process and all its descendants together, in MiB,
            sampled every 50 ms; pages that they share count for each of them.
    """

    seconds: float
    mib: float


def measure(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Cost:
    """Runs a command to its end in a folder, in this process's environment or in the one given.

    Raises:
        UserError: it failed; with the last line that it wrote to its error stream.
    """
    peak, ended = 0, threading.Event()
    with tempfile.TemporaryFile() as errors:
        begun = time.monotonic()
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        ) as process:

            def sample() -> None:
                nonlocal peak
                while not ended.wait(_SAMPLE_SECONDS):
                    peak = max(peak, _resident_pages(process.pid))

            sampler = threading.Thread(target=sample)
            sampler.start()
            try:
                code = process.wait()
            finally:
                seconds = time.monotonic() - begun
                ended.set()
                sampler.join()
        if code:
            errors.seek(0)
            shown = shorten(" ".join(command), 160, placeholder=" …")
            raise UserError(f"{shown} failed: {last_line(errors.read())}")
    return Cost(seconds, _mib(peak))


def resident_mib(pid: int) -> float:
    """Resident memory of a process and all its descendants together, in MiB."""
    return _mib(_resident_pages(pid))


def _mib(pages: int) -> float:
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _resident_pages(pid: int, parent: str = "") -> int:
    """Resident memory of a process and its descendants; nothing for one that has ended.

    A child with its parent's very figures (`parent`) has not yet begun its own program (vfork):
    it still uses the parent's memory.
    """
    folder, figures, children = Path(f"/proc/{pid}"), parent, []
    with contextlib.suppress(OSError):
        figures = (folder / "statm").read_text()
        for thread in (folder / "task").iterdir():
            children += (thread / "children").read_text().split()
    own = 0 if figures == parent else int(figures.split()[1])
    return own + sum(_resident_pages(int(child), figures) for child in children)


def last_line(output: bytes) -> str:
    """The last line of what a process wrote."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it did not say why"


def in_turn(sides: Mapping[str, Callable[[int], T]], pairs: int) -> dict[str, list[T]]:
    """Runs the sides one after another, so many times; every second time in reverse.

    Args:
        sides: by name, what runs; it gets the number of the pair, from 1.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    for pair in range(1, pairs + 1):
        for name in list(sides) if pair % 2 else reversed(list(sides)):
            say(f"pair {pair} of {pairs}: {name}")
            found[name].append(sides[name](pair))
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the pairs of ours / theirs."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def spread(seconds: Sequence[float]) -> list[str]:
    """Two cells: the median, and the least and greatest."""
    return [f"{median(seconds):.2f}", f"{min(seconds):.2f} to {max(seconds):.2f}"]


class NewProcess:
    """A fresh Python, in which nothing is loaded yet, for one call after another."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function returns there.

        Raises:
            UserError: as the function; or the process died.
        """
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool as e:
            raise UserError(f"a process of the bench died: {e}") from e

    def close(self) -> None:
        """Ends it."""
        self._pool.shutdown()


def in_new_process(function: Callable[..., T], *arguments: Any) -> T:
    """A single call of `NewProcess`."""
    with contextlib.closing(NewProcess()) as process:
        return process.call(function, *arguments)
