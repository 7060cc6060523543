"""The table of a run's scores, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochat_eval.terminal.grid import grid, notes

HEADERS = (
    "task", "rule", "score", "95 % interval", "n", "unmatched", "truncated", "empty", "note",
)  # fmt: skip
_ALIGN = ("left", "left", "right", "left", "right", "right", "right", "right", "left")


def rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """The table's cells as text, a row per task and rule; dashes where there is no figure."""
    made = []
    for name, task in summary["tasks"].items():
        for rule in ("published", "robust"):
            one = task[rule]
            low, high = one["ci95"] or (None, None)
            interval = "–" if low is None else f"{low:.1f} … {high:.1f}"
            rates = [_percent(one[key]) for key in ("unmatched", "truncated", "empty")]
            more = [f"{key} {_score(figure)}" for key, figure in _figures(one)]
            note = "; ".join([*more, *task["notes"]])
            made.append([name, rule, _score(one), interval, f"{one['n']:,}", *rates, note])
    return made


def _figures(one: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What a rule has beside its score: `Task.also`, and of `Task.figures` what has an interval."""
    return [(k, v) for k, v in one.items() if isinstance(v, Mapping) and "ci95" in v]


def _score(figure: Mapping[str, Any]) -> str:
    return "–" if figure["score"] is None else f"{figure['score']:.2f}"


def _percent(rate: float | None) -> str:
    return "?" if rate is None else f"{100 * rate:.1f} %"


def terminal(summary: Mapping[str, Any]) -> str:
    """The table for a terminal, what is to be said of the scores below it."""
    cells = [
        [task, rule, score, interval.replace(" … ", "…"), *figures]
        for task, rule, score, interval, *figures, _ in rows(summary)
    ]
    below = []
    for name, task in summary["tasks"].items():
        for rule in ("published", "robust"):
            if more := [f"{key} {_score(figure)}" for key, figure in _figures(task[rule])]:
                below.append(f"{name}, {rule}: {'; '.join(more)}")
        if task["notes"]:
            below.append(f"{name}: {'; '.join(task['notes'])}")
    headers = (*HEADERS[:3], "95 % CI", *HEADERS[4:-1])
    return "\n".join([grid(cells, headers, align=_ALIGN[:-1]), *notes(below)])


def markdown(summary: Mapping[str, Any]) -> str:
    """The table in GitHub's Markdown."""
    return grid(rows(summary), HEADERS, "github", align=_ALIGN)
