"""Runs against each other, from Python: what the commands compare and gate print, as values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ochat_eval import stats
from ochat_eval.api.shown import Table
from ochat_eval.baseline import against as baseline
from ochat_eval.baseline import difference_formats
from ochat_eval.baseline.compare import TaskComparison, corrected
from ochat_eval.baseline.find import find
from ochat_eval.baseline.gate import GateResult
from ochat_eval.baseline.policy import chosen_policy
from ochat_eval.baseline.runs import read_run
from ochat_eval.baseline.sides import compare_sides, read_side
from ochat_eval.records import RULES, Rule, UserError

Name = str | os.PathLike[str]
"""A run: an object `Run`, its folder, or its name."""
RUNS = Path("results/runs")
"""The folder that names of runs are looked for in; runs elsewhere are named by their folders."""


@dataclass(frozen=True)
class Comparison:
    """How run B differs from run A, item by item.

    Attributes:
        a, b: their names.
        rows: each benchmark that both have, under each rule.
    """

    a: str
    b: str
    rows: tuple[TaskComparison, ...]

    def table(self) -> Table:
        """The rows, for people."""
        title = f"A: {self.a}    B: {self.b}"
        terminal, markdown = (
            difference_formats.table(self.rows, form) for form in ("terminal", "markdown")
        )
        return Table(f"{title}\n\n{terminal}", f"{title}\n\n{markdown}")

    def __str__(self) -> str:
        return str(self.table())

    def _repr_markdown_(self) -> str:
        return self.table().markdown


def compare(a: Name, b: Name, *, rules: tuple[Rule, ...] = RULES) -> Comparison:
    """Compares two runs over the items that both asked in the very same words.

    Args:
        a, b: runs, recorded runs (by name), or one published row (`published:OpenChat-3.5-0106`).
        rules: under which answer rules.

    Returns:
        B less A: differences with their intervals, flips, p-values, Holm's over all benchmarks.

    Raises:
        UserError: there is no such run or rule, it is not scored, or they have nothing in common.
    """
    if not set(RULES).issuperset(rules):
        raise UserError(f"rules is {rules!r}; it must be a tuple of {' and '.join(RULES)}")
    one, other = (read_side(os.fspath(name), RUNS) for name in (a, b))
    [rows] = corrected([compare_sides(one, other, rules)])
    return Comparison(one.name, other.name, tuple(rows))


def gate(
    run: Name,
    against: Name,
    *,
    mode: stats.Mode | None = None,
    rule: Rule | None = None,
    margin: float | None = None,
    policy: Name | None = None,
    part: bool = False,
    psi: float | str | None = None,
) -> GateResult:
    """Passes or fails a run against a recorded one, as `ochat-eval gate` does.

    Args:
        against: a recorded run, or a published row (`published:OpenChat-3.5-0106`).
        mode: `same` (the default), whether it is a rerun; `no-worse`, whether it is as good.
        rule: by which answers are read; the default is `published`.
        margin: in points; None: by the noise between the recorded reruns.
        policy: a file, gate.yaml, that says these by benchmark.
        part: the run asked only some of the recorded items.
        psi: for a published row: the rate at which verdicts flip between reruns, or a recorded run
            that has it measured.

    Returns:
        The verdict, and why: `verdict` is PASS, FAIL, INCONCLUSIVE or REFUSED.

    Raises:
        UserError: there is no such run, or an option that cannot be.
    """
    asked = chosen_policy(
        None if policy is None else Path(policy), {"mode": mode, "rule": rule, "margin": margin}
    )
    judged = read_run(find(os.fspath(run), RUNS))
    flips = None if psi is None else str(psi)
    return baseline.against(judged, os.fspath(against), asked, runs=RUNS, part=part, psi=flips)
