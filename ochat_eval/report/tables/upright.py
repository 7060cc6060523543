"""The tables for a terminal: its 80 columns want a row for each of a table's columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ochat_eval.report.tables.build import PublishedRow, RunRow, Table
from ochat_eval.report.tables.cells import (
    below,
    difference_text,
    figure_text,
    interval_text,
    number_text,
)
from ochat_eval.terminal.grid import DASH, WIDTH, grid, notes
from ochat_eval.terminal.words import plain

_NAME = 12
"""Characters of a line of a model's name."""


def terminal(tables: Sequence[Table]) -> str:
    """For a terminal: each run's figures, then the published rows, then what is marked and why."""
    parts = []
    for table in tables:
        parts.append(table.title)
        by_run: dict[str, list[RunRow]] = {}
        for row in table.runs:
            by_run.setdefault(row.run, []).append(row)
        parts += [_of_run(table, rows) for rows in by_run.values()]
        parts += _published(table)
        parts += ["", *notes(below(table)), ""]
    return "\n".join(parts)


def _of_run(table: Table, rules: Sequence[RunRow]) -> str:
    """One run's figures, under both rules, beside those published for its model."""
    published, *others = rules
    compared = any(cell.published is not None for cell in published.cells)
    heads = ["", published.rule, "95 % CI"]
    heads += ["figure", "diff.", "verdict"] if compared else []
    heads += [row.rule for row in others]
    rows = []
    for place, column in enumerate(table.columns):
        cell = published.cells[place]
        row = [column.header, figure_text(cell, column), interval_text(cell)]
        if compared:
            row += [number_text(cell.published), difference_text(cell), cell.verdict or DASH]
        rows.append([*row, *(figure_text(one.cells[place], column) for one in others)])
    align = ["left", *("right" for _ in heads[1:])]
    title = plain(f"{published.model} ({published.run})")
    return f"\n{title}\n{grid(rows, heads, align=align)}"


def _published(table: Table) -> list[str]:
    """The published rows, a column each, as many beside each other as there is room for."""
    parts: list[str] = []
    left = list(table.published)
    while left:
        count = len(left)
        while count > 1 and max(map(len, _columns(table, left[:count]).split("\n"))) > WIDTH:
            count -= 1
        parts += ["", _columns(table, left[:count])]
        left = left[count:]
    return parts


def _columns(table: Table, models: Sequence[PublishedRow]) -> str:
    def wrapped(text: str) -> str:
        return "\n".join(textwrap.wrap(plain(text), _NAME))

    heads = ["published", *(wrapped(m.model) for m in models)]
    rows = [["", *(wrapped(m.about) for m in models)]]
    for place, column in enumerate(table.columns):
        rows.append([column.header, *(number_text(m.scores[place]) for m in models)])
    return grid(rows, heads, align=["left", *("right" for _ in models)])
