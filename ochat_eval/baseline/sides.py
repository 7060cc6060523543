"""What can be compared: a run, a recorded run, or a published row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline import compare, figures
from ochat_eval.baseline.compare import TaskComparison
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import read
from ochat_eval.config.build import published_task
from ochat_eval.records import Rule, UserError

Side = RunResults | figures.Row


def read_side(name: str, runs: Path) -> Side:
    """A run, a recorded run or a published row, as the user names it."""
    if name.startswith(figures.PREFIX):
        return figures.row(name.removeprefix(figures.PREFIX))
    return read(name, runs)


def compare_sides(a: Side, b: Side, rules: Sequence[Rule]) -> list[TaskComparison]:
    """The comparison of two sides under each rule, `b` less `a`.

    Published figures are compared under the rule `published` only.

    Raises:
        UserError: both are published rows, or they have no benchmark in common.
    """
    if isinstance(a, RunResults) and isinstance(b, RunResults):
        found = [row for rule in rules for row in compare.compare(a, b, rule)]
    elif "published" not in rules:
        raise UserError("published figures are of the rule published: --rule published")
    elif isinstance(a, figures.Row) and isinstance(b, RunResults):
        found = [_figure(a, name, b) for name in a.tasks if name in b.tasks]
    elif isinstance(a, RunResults) and isinstance(b, figures.Row):
        found = [_figure(b, name, a, row_is_b=True) for name in b.tasks if name in a.tasks]
    else:
        raise UserError(f"{a.name} and {b.name} are both published rows; name a run")
    if not found:
        raise UserError(
            f"{a.name} ({', '.join(a.tasks)}) and {b.name} ({', '.join(b.tasks)}) have no "
            f"benchmark in common to compare under {' or '.join(rules)}"
        )
    return found


def _figure(
    row: figures.Row, name: str, run: RunResults, *, row_is_b: bool = False
) -> TaskComparison:
    """A benchmark's published figure beside a run, where both have the same unit."""
    here, published = run.tasks[name], published_task(name, row.name)
    apart = (here, published) if row_is_b else (published, here)
    if note := compare.unlike_units(*apart):
        return TaskComparison(name, "published", None, None, note=note)
    return compare.compare_figure(row.tasks[name], here, "published", figure_is_b=row_is_b)
