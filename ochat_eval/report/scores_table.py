"""The table of a run's scores, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochat_eval.terminal.grid import grid, notes

_RATES = ("unmatched", "truncated", "empty")
_BEFORE = ("task", "rule", "score", "95 % interval", "n")
_ALIGN = ("left", "left", "right", "left", "right")


def _rates(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """The rates that have a column: that of thoughts without an end only where there are some."""
    thoughtful = any("thoughts" in task for task in summary["tasks"].values())
    return (*_RATES, "unfinished") if thoughtful else _RATES


def rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """The table's cells as text, a row per task and rule; dashes where there is no figure."""
    made = []
    for name, task in summary["tasks"].items():
        for rule in ("published", "robust"):
            one = task[rule]
            low, high = one["ci95"] or (None, None)
            interval = "–" if low is None else f"{low:.1f} … {high:.1f}"
            rates = [_percent(one.get(key)) for key in _rates(summary)]
            note = "; ".join([*_more(one), *_thoughts(task), *task["notes"]])
            made.append([name, rule, _score(one), interval, f"{one['n']:,}", *rates, note])
    return made


def _thoughts(task: Mapping[str, Any]) -> list[str]:
    said: list[str] = task.get("thoughts", {}).get("said", [])
    return said


def _more(one: Mapping[str, Any]) -> list[str]:
    """What a rule has beside its score: `Task.also`, of `Task.figures` what has an interval, and
    what several answers an item tell."""
    figures = [(k, v) for k, v in one.items() if isinstance(v, Mapping) and "ci95" in v]
    said = one.get("samples", {}).get("said", [])
    return [*(f"{key} {_score(figure)}" for key, figure in figures), *said]


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
            if more := _more(task[rule]):
                below.append(f"{name}, {rule}: {'; '.join(more)}")
        if said := [*_thoughts(task), *task["notes"]]:
            below.append(f"{name}: {'; '.join(said)}")
    rates = _rates(summary)
    headers, align = (*_BEFORE[:3], "95 % CI", "n", *rates), (*_ALIGN, *("right" for _ in rates))
    return "\n".join([grid(cells, headers, align=align), *notes(below)])


def markdown(summary: Mapping[str, Any]) -> str:
    """The table in GitHub's Markdown."""
    rates = _rates(summary)
    align = (*_ALIGN, *("right" for _ in rates), "left")
    return grid(rows(summary), (*_BEFORE, *rates, "note"), "github", align=align)
