"""The table of a run's scores, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

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
            score = "–" if one["score"] is None else f"{one['score']:.2f}"
            more = [f"{key} {one[key]['score']:.2f}" for key in task["also"] if key in one]
            note = "; ".join([*more, *task["notes"]])
            made.append([name, rule, score, interval, f"{one['n']:,}", *rates, note])
    return made


def _percent(rate: float | None) -> str:
    return "?" if rate is None else f"{100 * rate:.1f} %"


def terminal(summary: Mapping[str, Any]) -> str:
    """The table for a terminal."""
    return tabulate(rows(summary), HEADERS, "simple", disable_numparse=True, colalign=_ALIGN)


def markdown(summary: Mapping[str, Any]) -> str:
    """The table in GitHub's Markdown."""
    return tabulate(rows(summary), HEADERS, "github", disable_numparse=True, colalign=_ALIGN)
