"""A run gated against what a user names: a recorded run, or a published row."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ochat_eval.baseline import gate
from ochat_eval.baseline.figures import PREFIX, half_digit, row
from ochat_eval.baseline.find import shipped
from ochat_eval.baseline.gate_figure import Figure, Setting, gate_figure
from ochat_eval.baseline.policy import Policy, check_names
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import flip_rates_of, read
from ochat_eval.config.build import published_task
from ochat_eval.records import UserError
from ochat_eval.run import store
from ochat_eval.run.otherwise import asked_otherwise, learnt_of


def against(
    run: RunResults, name: str, policy: Policy, *, runs: Path, part: bool, psi: str | None
) -> gate.GateResult:
    """The gate against a recorded run or a published row; arguments as the command line has them.

    Raises:
        UserError: there is no such run or row, nothing to compare, or an option that it cannot
            take.
    """
    judged = against_figures if name.startswith(PREFIX) else against_recorded
    return judged(run, name, policy, runs=runs, part=part, psi=psi)


def against_recorded(
    run: RunResults,
    name: str,
    policy: Policy,
    *,
    runs: Path,
    part: bool = False,
    psi: str | None = None,
) -> gate.GateResult:
    """The gate against a recorded run; arguments as the command line has them.

    Raises:
        UserError: there is no such recorded run, nothing to compare, or a benchmark in the policy
            that is not there.
    """
    there = read(name, runs, recorded=True)
    if psi is not None:
        raise UserError("--psi is for published figures; a recorded run has its own")
    check_names(policy, there.tasks, "--policy")
    rows = gate.gate(run, there, policy, part=part)
    if not rows:
        raise UserError(f"{run.name} and {there.name} have no benchmark in common")
    notes = gate.notes(run, there)
    asked = policy.title(row.task for row in rows if row.task in there.tasks)
    return gate.GateResult(run.name, there.name, asked, gate.overall(rows), rows, notes)


def against_figures(
    run: RunResults, name: str, policy: Policy, *, runs: Path, part: bool, psi: str | None
) -> gate.GateResult:
    """The gate against a published row; arguments as the command line has them.

    Raises:
        UserError: there is no such row, or an option that a published figure cannot take.
    """
    if policy != Policy():
        raise UserError(
            "published figures are gated by the rule published, as the same, and by their own "
            "margin: leave --rule, --no-worse, --margin, --flip-sds and --policy away"
        )
    published = row(name.removeprefix(PREFIX))
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
    shared = [task for task in published.tasks if task in run.tasks]
    otherwise = asked_otherwise(run.identity, learnt_of(run.about, "engine", run.name))
    for task in shared:
        here = run.tasks[task]
        setting = Setting(dataclasses.asdict(published_task(task, published.name)), **prompts[task])
        unit = 100 / (here.scale * here.bounds[1])  # in points
        known = published.tasks[task]
        figure = Figure(known * unit, half_digit(known) * unit)
        rows.append(
            gate_figure(here, figure, rates.get(task), setting, of=len(shared), otherwise=otherwise)
        )
    if not rows:
        raise UserError(f"{run.name} and {published.name} have no benchmark in common")
    notes = [
        f"{task} has no published figure: not gated"
        for task in run.tasks
        if task not in published.tasks
    ]
    return gate.GateResult(run.name, name, policy.title(shared), gate.overall(rows), rows, notes)
