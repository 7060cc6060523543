"""A run gated as if it had been looked at while it went on: what would have been decided, when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ochat_eval.baseline import gate
from ochat_eval.baseline.looks import Looks, decides, followed, looks_at
from ochat_eval.baseline.policy import Policy, check_names
from ochat_eval.baseline.runs import read, read_run
from ochat_eval.records import UserError

TOGETHER = (
    "each look's interval is so wide that all of them together hold the truth with 90 %, at "
    "whichever look one stops"
)


def against_at_looks(folder: Path, name: str, policy: Policy, runs: Path) -> gate.GateResult:
    """The gate of a run's folder against a recorded run, as the looks decide.

    Each benchmark of the run that is recorded has the row of the look that decides it, else of
    the last that all answers are there for.

    Raises:
        UserError: there is no such recorded run, nothing to compare, or a benchmark in the policy
            that is not there.
    """
    run, there = read_run(folder), read(name, runs, recorded=True)
    check_names(policy, there.tasks, "--policy")
    planned = looks_at(folder)
    looks = {
        task: list(followed(run, there, task, policy.of(task), planned[task]))
        for task in there.tasks
        if task in planned
    }
    if not looks:
        raise UserError(f"{run.name} and {there.name} have no benchmark in common")
    rows = [
        dataclasses.replace(
            row := _last(task, found, planned[task]),
            decides=policy.veto(task) or row.verdict == "REFUSED",
        )
        for task, found in looks.items()
    ]
    rows += gate.weighted(rows, policy)
    said = [where(task, found, planned[task]) for task, found in looks.items()]
    notes = [*said, TOGETHER, *gate.notes(run, there)]
    asked = f"{policy.title(looks)}, looked at as it went on"
    return gate.GateResult(run.name, there.name, asked, gate.overall(rows), rows, notes, looks)


def _last(task: str, found: Sequence[gate.TaskGate], planned: Looks) -> gate.TaskGate:
    if found:
        return found[-1]
    first = len(planned.blocks[0])
    why = f"no look yet: not all of the first {first:,} items have an answer"
    return gate.TaskGate(task, "REFUSED", why, of=planned.planned)


def where(task: str, found: Sequence[gate.TaskGate], planned: Looks) -> str:
    """At which look a benchmark was decided, in words."""
    if not found:
        return f"{task}: no look yet"
    at = f"look {len(found)} of {len(planned.blocks)}, {found[-1].n:,} of {planned.planned:,} items"
    said = found[-1].verdict if decides(found[-1]) else "undecided"
    return f"{task}: {said} at {at}"
