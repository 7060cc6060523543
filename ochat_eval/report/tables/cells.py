"""The tables' cells as text, the same in every format that people read."""

from __future__ import annotations

from ochat_eval.report.tables.build import Cell, Column, Table
from ochat_eval.terminal.grid import DASH, interval
from ochat_eval.terminal.words import plain

MARK = "†"
"""Behind a figure that is not the benchmark's own; what is wrong stands below the table."""


def rows_of(table: Table) -> list[list[str]]:
    """The table's cells as text: for each run its figures and what is to be said of them."""
    rows = []
    for row in table.runs:
        label = f"{row.model} ({row.run})" if row.rule == "published" else ""
        rows.append([plain(label), row.rule, *map(figure_text, row.cells, table.columns)])
        rows.append(["", "95 % interval", *map(interval_text, row.cells)])
        if any(cell.published is not None for cell in row.cells):
            rows.append(["", "published figure", *(number_text(c.published) for c in row.cells)])
            rows.append(["", "difference", *map(difference_text, row.cells)])
            rows.append(["", "verdict", *(c.verdict or DASH for c in row.cells)])
    for one in table.published:
        rows.append([plain(one.model), plain(one.about), *map(number_text, one.scores)])
    return rows


def below(table: Table) -> list[str]:
    """What stands below: why figures are marked, a line per run and column, and the rules."""
    found: dict[str, None] = {}
    for row in table.runs:
        for column, cell in zip(table.columns, row.cells, strict=True):
            if cell.marks:
                why = "; ".join(cell.marks)
                found[plain(f"{MARK} {row.run}, {column.header}: {why}")] = None
    return [*found, *map(plain, table.rules)]


def headers(table: Table) -> list[str]:
    """What stands above `rows_of`."""
    return ["model", "", *(column.header for column in table.columns)]


def figure_text(cell: Cell, column: Column) -> str:
    """The figure, marked where it is not the benchmark's own."""
    digits = 2 if column.weight != 1 else 1  # a rating has two
    shown = DASH if cell.score is None else f"{cell.score:.{digits}f}"
    return shown + MARK * bool(cell.marks)


def interval_text(cell: Cell) -> str:
    """The 95 % interval: `31.1…32.7`."""
    return interval(*(cell.ci95 or (None, None)))


def number_text(value: float | None) -> str:
    """A published figure with the digits that were published."""
    return DASH if value is None else f"{value}"


def difference_text(cell: Cell) -> str:
    """The run's figure less the published one."""
    return DASH if cell.difference is None else f"{cell.difference:+.2f}"
