"""A series as a table: for the terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ochat_eval.report.measures import marks_of
from ochat_eval.report.tables.cells import MARK
from ochat_eval.series.curve import Curve, Point
from ochat_eval.terminal.grid import DASH, grid, interval, notes, number
from ochat_eval.terminal.words import plain

UP, DOWN = "▲", "▼"
"""Behind a change by more than noise."""
RATES = ("unmatched", "truncated", "unfinished")
"""Shares of a benchmark's answers: that is where a broken checkpoint shows first."""


def tables(series: Sequence[Point], found: Sequence[Curve], style: str = "simple") -> str:
    """The curves as a table, a row for each checkpoint, and how answers ended as another.

    Args:
        style: as in `grid`.
    """
    unit = series[0].checkpoint.unit
    scores, ends = [], []
    for curve in found:
        steps = curve.steps()
        for place, point in enumerate(series):
            step, task = f"{point.checkpoint.step:g}", point.summary["tasks"].get(curve.task)
            pair = steps.get(place)
            sign = "" if pair is None or not pair.moved else UP if pair.difference > 0 else DOWN
            best = "best" if place == curve.best else "as good" if place in curve.among else ""
            score = number(curve.scores[place]) + MARK * bool(task and marks_of(task))
            interval_ = interval(*(curve.ends[place] or (None, None)))
            change = DASH if pair is None else f"{pair.difference:+.2f}{sign}"
            scores.append([curve.task or "average", step, score, interval_, change, best])
            if task is not None:
                ends.append([curve.task, step, *_rates(task)])
    align = ["left", *("right" for _ in range(4)), "left"]
    first = grid(scores, ["task", unit, "score", "95 % CI", "change", "best?"], style, align)
    align = ["left", *("right" for _ in range(5))]
    return f"{first}\n\n{grid(ends, ['task', unit, *RATES, 'tokens'], style, align)}"


def _rates(task: Mapping[str, Any]) -> list[str]:
    """Of a benchmark how answers ended and how long they are."""
    shares = (task["published"][rate] for rate in RATES)
    mean = mean_tokens(task)
    return [
        *("?" if share is None else f"{share:.1%}" for share in shares),
        "?" if mean is None else f"{mean:,.0f}",
    ]


def mean_tokens(task: Mapping[str, Any]) -> float | None:
    """The mean length of a benchmark's answers in tokens; None where no answer tells."""
    tokens = task["tokens"]
    return tokens["completion"] / tokens["answers"] if tokens["answers"] else None


def below(series: Sequence[Point], found: Sequence[Curve], left: Mapping[str, str]) -> list[str]:
    """What stands below: the signs, why figures are marked, what was not run.

    Args:
        left: checkpoints that have no figures, and why.
    """
    said = [f"{name}: {why}" for name, why in left.items()]
    for curve in found:
        if curve.items:
            said.append(f"{curve.task}: compared on {len(curve.items):,} items that all answered")
        elif curve.task and len(series) > 1:
            said.append(f"{curve.task}: not compared, for the checkpoints share too few items")
    by_note: dict[str, list[str]] = {}
    for point in series:
        for name, task in point.summary["tasks"].items():
            for note in marks_of(task):
                kind = re.sub(r"[\d,.]+ ?%", "… %", note)  # a line for all shares of a kind
                by_note.setdefault(f"{name}: {kind}", []).append(point.checkpoint.label)
    for note, labels in by_note.items():
        whose = "" if len(labels) == len(series) else f" ({', '.join(labels)})"
        said.append(f"{MARK} {note}{whose}")
    return [plain(line) for line in said]


EXPLAINED = (
    f"{UP} {DOWN}: differs from the one before by more than noise (Holm's correction over all "
    "pairs of a benchmark; on the average, the 95 % interval of the difference does not hold 0)",
    "as good: cannot be told from the best",
)


def terminal(series: Sequence[Point], found: Sequence[Curve], left: Mapping[str, str]) -> str:
    """The table for a terminal, with what is to be said below it."""
    lines = [*below(series, found, left), *(EXPLAINED if len(series) > 1 else ())]
    return "\n".join([tables(series, found), *notes(lines)])


def markdown(
    name: str, series: Sequence[Point], found: Sequence[Curve], left: Mapping[str, str]
) -> str:
    """The same as a Markdown document."""
    lines = [*below(series, found, left), *(EXPLAINED if len(series) > 1 else ())]
    table = tables(series, found, "github")
    return "\n".join([f"# {plain(name)}", "", table, "", *(f"- {line}" for line in lines), ""])
