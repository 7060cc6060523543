"""The published tables with a run's row: cells, intervals, differences and verdicts, as pure data.

A table is defined in conf/table/, its published rows stand in results/recorded/published.yaml; a
run brings its summary.json. `formats` writes a table as text.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ochat_eval import stats
from ochat_eval.baseline import figures
from ochat_eval.records import RULES, Rule
from ochat_eval.report.measures import marks_of

Verdict = Literal["agrees", "differs", "within interval", "outside interval", "unknown"]
"""`agrees`, `differs`: by the noise between reruns (`equivalence.matches_published`). `within` and
`outside interval`: that noise is not known, so it is only said whether the published figure lies
in the run's 95 % interval, its rounding allowed for. `unknown`: the cell is marked, so that it is
no rerun of the published figure, or there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: in the published rows.
        header: what is shown.
        task: the benchmark; None for the mean of the other columns.
        figure: the entry of the benchmark's summary that is shown; None for its score.
        weight: what the score is multiplied by in the mean, which makes it points.
        shares: a name for its questions, where another column asks the same ones.
    """

    name: str
    header: str
    task: str | None = None
    figure: str | None = None
    weight: float = 1.0
    shares: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A table: its name (of its file, and of its published rows), title and columns."""

    name: str
    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a run; all numbers in the column's unit (points, or a judge's rating).

    Attributes:
        score: None where there is none: a dash.
        ci95: ends of its 95 % interval.
        published: the figure published for the same model, to be met by the rule `published`.
        difference: score less published.
        verdict: None where nothing is published for the model.
        marks: why this is not the benchmark's own figure; empty where it is.
    """

    score: float | None
    ci95: tuple[float, float] | None = None
    stderr: float | None = None
    published: float | None = None
    difference: float | None = None
    verdict: Verdict | None = None
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run's row under one rule: `published` is the one that counts."""

    model: str
    run: str
    rule: Rule
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A published row; None where a figure was not published."""

    model: str
    about: str
    scores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the rows of one or more runs, and the published rows in their order; `rules`:
    which published rule read what, where there are several, and which columns share questions."""

    name: str
    title: str
    source: str
    columns: tuple[Column, ...]
    runs: tuple[RunRow, ...]
    published: tuple[PublishedRow, ...]
    rules: tuple[str, ...] = ()


@cache
def definitions() -> Mapping[str, Definition]:
    """The tables of conf/table/, by name."""
    return {
        name: Definition(name, one["title"], tuple(Column(**column) for column in one["columns"]))
        for name, one in figures.layouts().items()
    }


def build(
    definition: Definition,
    figures: Mapping[str, Any],
    summaries: Sequence[Mapping[str, Any]],
    psi: Mapping[str, float] | None = None,
) -> Table | None:
    """A table with the rows of the runs that have at least one of its columns; None if none has.

    Args:
        figures: the published table: `source`, `columns`, `rows`.
        summaries: the runs' summary.json.
        psi: by benchmark, the rate at which verdicts flip between reruns, a fraction.
    """
    columns = definition.columns
    places = [figures["columns"].index(column.name) for column in columns]
    rows = tuple(
        PublishedRow(
            model,
            ", ".join(str(v) for k, v in row.items() if k != "scores"),
            tuple(row["scores"][place] for place in places),
        )
        for model, row in figures["rows"].items()
    )
    runs = []
    for summary in summaries:
        same = {row.model: row.scores for row in rows}.get(summary.get("published_row") or "")
        if any(column.task in summary["tasks"] for column in columns):
            runs += [_run_row(columns, summary, rule, same, psi or {}) for rule in RULES]
    if not runs:
        return None
    name, title = definition.name, definition.title
    rules = dict.fromkeys(line for summary in summaries for line in _rules(columns, summary))
    said = (*rules, *_shared(columns))
    return Table(name, title, figures["source"], columns, tuple(runs), rows, said)


def _shared(columns: Sequence[Column]) -> Iterator[str]:
    """Which columns ask the same questions, for the reader of the average's interval."""
    average = next((column.header for column in columns if column.task is None), None)
    by_name: dict[str, list[str]] = {}
    for column in columns:
        if column.shares:
            by_name.setdefault(column.shares, []).append(column.header)
    for headers in by_name.values():
        if average and len(headers) > 1:
            both = " and ".join(headers)
            yield f"{average}: {both} ask the same questions, so that their errors are added in it"


def _rules(columns: Sequence[Column], summary: Mapping[str, Any]) -> Iterator[str]:
    """Which published rule read a column's answers, where there are several."""
    for column in columns:
        chosen = summary["tasks"].get(column.task, {}).get("rule", {})
        if chosen:
            said = ", ".join(f"{option}={value}" for option, value in chosen.items())
            yield f"{summary['run']}, {column.header}: published rule {said}"


def build_all(
    summaries: Sequence[Mapping[str, Any]], psi: Mapping[str, float] | None = None
) -> list[Table]:
    """Every table that one of the runs has a column of."""
    known = figures.tables()
    made = (build(one, known[name], summaries, psi) for name, one in definitions().items())
    return [table for table in made if table is not None]


def is_whole(table: Table, summary: Mapping[str, Any]) -> bool:
    """Whether the run asked every benchmark of the table and has a figure for it, marked or not."""
    figures = (cell.score for row in table.runs for cell in row.cells)
    asked = all(c.task is None or c.task in summary["tasks"] for c in table.columns)
    return asked and any(figure is not None for figure in figures)


def as_json(table: Table) -> dict[str, Any]:
    """The table as JSON."""
    return dataclasses.asdict(table)


def _run_row(
    columns: Sequence[Column],
    summary: Mapping[str, Any],
    rule: Rule,
    same: Sequence[float | None] | None,
    psi: Mapping[str, float],
) -> RunRow:
    """One rule's row. The robust one is not compared: nothing was published under that rule."""
    wanted: Sequence[float | None] = (None,) * len(columns)
    if same is not None and rule == "published":
        wanted = same
    cells: dict[str, Cell] = {}
    noises: dict[str, float | None] = {}
    others = [column for column in columns if column.task is not None]
    for column in others:
        task = summary["tasks"].get(column.task)
        entry = None
        if task is not None:
            entry = task[rule].get(column.figure) if column.figure else task[rule]
        cells[column.name] = Cell(None) if task is None else _cell(task, task[rule], entry, column)
        rate, n = psi.get(column.task or ""), (entry or {}).get("n")
        noises[column.name] = stats.flip_sd(rate, n) if rate is not None and n else None
    for column in columns:
        if column.task is None:
            cells[column.name] = _average(others, cells)
            noises[column.name] = stats.average_stderr([noises[c.name] for c in others])
    judged = sum(
        figure is not None and noises[column.name] is not None
        for column, figure in zip(columns, wanted, strict=True)
    )
    for column, figure in zip(columns, wanted, strict=True):
        noise = noises[column.name]
        cells[column.name] = _compared(
            cells[column.name], figure, noise, column.weight, of=max(1, judged)
        )
    row = tuple(cells[column.name] for column in columns)
    return RunRow(summary["model"], summary["run"], rule, row)


def _cell(
    task: Mapping[str, Any],
    one: Mapping[str, Any],
    entry: Mapping[str, Any] | None,
    column: Column,
) -> Cell:
    """A figure as the summary has it, with its marks."""
    marks = [*marks_of(task)]
    if unlike := one.get("incomparable"):
        return Cell(None, marks=(unlike, *marks))
    if entry is None and one["n"]:
        marks.append(f"{column.figure} was not judged")
    if entry is None or entry["score"] is None:
        return Cell(None, marks=tuple(marks))
    low, high = entry["ci95"]
    return Cell(entry["score"], (low, high), entry["stderr"], marks=tuple(marks))


def _average(columns: Sequence[Column], cells: Mapping[str, Cell]) -> Cell:
    """The mean of the columns in points, with `stats.average_interval`; none where one is missing.

    The errors of columns that share questions are added, for nobody knows how far these rise and
    fall together.
    """
    marked = [c.header for c in columns if cells[c.name].marks]
    marks = (f"has marked figures: {', '.join(marked)}",) if marked else ()
    scores, errors, ends = [], [], []
    for column in columns:
        cell = cells[column.name]
        if cell.score is None or cell.ci95 is None:
            missing = ", ".join(c.header for c in columns if cells[c.name].ci95 is None)
            return Cell(None, marks=(f"no figure of {missing}",))
        scores.append(cell.score * column.weight)
        errors.append(None if cell.stderr is None else cell.stderr * column.weight)
        ends.append((cell.ci95[0] * column.weight, cell.ci95[1] * column.weight))
    together = [column.shares or column.name for column in columns]
    stderr = stats.average_stderr(errors, together)
    ci95 = stats.average_interval(scores, ends, together)
    return Cell(stats.mean(scores), ci95, stderr, marks=marks)


def _compared(
    cell: Cell, figure: float | None, noise: float | None, weight: float, of: int
) -> Cell:
    """The cell beside the figure published for the same model.

    Args:
        noise: standard deviation of the difference of two reruns, a fraction; None: not known.
        weight: what turns the column's unit into points.
        of: how many of the row's cells are judged by that noise (`stats.published_margin`).
    """
    if figure is None:
        return cell
    if cell.score is None:
        return dataclasses.replace(cell, published=figure, verdict="unknown")
    rounding = figures.half_digit(figure)
    verdict: Verdict
    if cell.marks or (noise is None and cell.ci95 is None):
        verdict = "unknown"
    elif noise is not None:
        same = stats.matches_published(
            cell.score * weight, figure * weight, 100 * noise, rounding=rounding * weight, of=of
        )
        verdict = "agrees" if same else "differs"
    else:
        low, high = cell.ci95 or (-math.inf, math.inf)
        inside = low - rounding <= figure <= high + rounding
        verdict = "within interval" if inside else "outside interval"
    difference = cell.score - figure
    return dataclasses.replace(cell, published=figure, difference=difference, verdict=verdict)
