"""A run gated against what a user names: a recorded run, or a published row."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ochat_eval import stats
from ochat_eval.baseline import gate
from ochat_eval.baseline.figures import PREFIX, row
from ochat_eval.baseline.find import shipped
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import flip_rates_of, read
from ochat_eval.config.build import published_task
from ochat_eval.records import Rule, UserError
from ochat_eval.run import store
from ochat_eval.run.identity import asked_otherwise


def against_recorded(
    run: RunResults,
    name: str,
    rule: Rule,
    *,
    runs: Path,
    part: bool = False,
    psi: str | None = None,
    flip_sds: float = stats.FLIP_SDS,
) -> gate.GateResult:
    """The gate against a recorded run; arguments as the command line has them.

    Raises:
        UserError: there is no such recorded run, or nothing to compare.
    """
    there = read(name, runs)
    if psi is not None:
        raise UserError("--psi is for published figures; a recorded run has its own")
    rows = gate.gate(run, there, rule, part=part, flip_sds=flip_sds)
    if not rows:
        raise UserError(f"{run.name} and {there.name} have no benchmark in common")
    notes = gate.notes(run, there, rows)
    return gate.GateResult(run.name, there.name, rule, gate.overall(rows), rows, notes)


def against_figures(
    run: RunResults, name: str, rule: Rule, *, runs: Path, part: bool, psi: str | None
) -> gate.GateResult:
    """The gate against a published row; arguments as the command line has them.

    Raises:
        UserError: there is no such row, or an option that a published figure cannot take.
    """
    published = row(name.removeprefix(PREFIX))
    if rule != "published":
        raise UserError("published figures are of the rule published: leave --rule away")
    if part:
        raise UserError("a published figure is of all items: leave --part away")
    if psi is None:
        raise UserError(
            "a published figure needs --psi: the rate at which verdicts flip between reruns of "
            "such a model, a number as 0.02, or a recorded run that has it measured"
        )
    rates = flip_rates_of(psi, list(run.tasks), runs)
    prompts = store.read_json(shipped("prompts.json"))
    rows = []
    for task in (task for task in published.tasks if task in run.tasks):
        here = run.tasks[task]
        setting = gate.Setting(
            dataclasses.asdict(published_task(task, published.name)), **prompts[task]
        )
        unit = 100 / (here.scale * here.bounds[1])  # in points
        figure = gate.Figure(published.tasks[task] * unit, 0.05 * unit)
        of_model = asked_otherwise(run.identity)
        rows.append(gate.gate_figure(here, figure, rates.get(task), setting, of_model))
    if not rows:
        raise UserError(f"{run.name} and {published.name} have no benchmark in common")
    notes = [
        f"{task} has no published figure: not gated"
        for task in run.tasks
        if task not in published.tasks
    ]
    return gate.GateResult(run.name, name, rule, gate.overall(rows), rows, notes)
