"""The scores of several runs in one table, benchmark by benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ochat_eval.report.measures import marks_of
from ochat_eval.report.tables.cells import MARK
from ochat_eval.terminal.grid import grid, interval, notes, number
from ochat_eval.terminal.words import plain

_RATES = ("unmatched", "truncated", "empty")


def scores_table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The runs' scores for a terminal, those of one benchmark below each other.

    Args:
        runs: the runs' summary.json, by what the table calls them.
    """
    rows = []
    for name in dict.fromkeys(name for one in runs.values() for name in one["tasks"]):
        for label, summary in runs.items():
            if (task := summary["tasks"].get(name)) is not None:
                rows.append([name, plain(label), *_cells(task)])
    headers = ["task", "model", "published", "95 % CI", "robust", *_RATES]
    align = ["left", "left", *("right" for _ in headers[2:])]
    below = [
        f"{MARK} {label}, {name}: {'; '.join(said)}"
        for label, summary in runs.items()
        for name, task in summary["tasks"].items()
        if (said := marks_of(task))
    ]
    return "\n".join([grid(rows, headers, align=align), *notes(map(plain, below))])


def _cells(task: Mapping[str, Any]) -> list[str]:
    one = task["published"]
    rates = (one[rate] for rate in _RATES)
    return [
        number(one["score"]) + MARK * bool(marks_of(task)),
        interval(*(one["ci95"] or (None, None))),
        number(task["robust"]["score"]),
        *("?" if rate is None else f"{rate:.1%}" for rate in rates),
    ]
