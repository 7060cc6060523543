"""A limited run's scores, told better by an earlier run that answered every item."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.results import TaskResults, clusters, strata
from ochat_eval.baseline.runs import read, read_run
from ochat_eval.baseline.same_work import unlike_questions
from ochat_eval.records import RULES, Rule
from ochat_eval.terminal.grid import interval


def add_controlled(tasks: Mapping[str, dict[str, Any]], folder: Path, name: str) -> None:
    """Adds to a summary's benchmarks what the earlier run tells of them.

    Under each rule `controlled` (`against`, `score`, `stderr`, `ci95` of `stats.controlled`, in the
    benchmark's unit), and a note; where it cannot be told, a note that says why.

    Args:
        tasks: summary.json's, of a run whose scores are in `folder`.
        name: the earlier run, recorded or not; runs are looked for beside `folder`.

    Raises:
        UserError: there is no such run, or it is damaged.
    """
    run, earlier = read_run(folder), read(name, folder.parent)
    for task, summary in tasks.items():
        if why := _unfit(run.tasks[task], earlier.tasks.get(task), summary):
            summary["notes"].append(f"{name} tells no more of it: {why}")
            continue
        told = []
        for rule in RULES:
            found = _estimate(run.tasks[task], earlier.tasks[task], rule)
            summary[rule]["controlled"] = {
                "against": name,
                "score": found.score,
                "stderr": found.stderr,
                "ci95": [found.lo, found.hi],
            }
            told.append(f"{rule} {found.score:.2f} ({interval(found.lo, found.hi)})")
        summary["notes"].append(f"with {name} as control, of all: {', '.join(told)}")


def _unfit(here: TaskResults, there: TaskResults | None, summary: Mapping[str, Any]) -> str:
    """Why an earlier run cannot be the control; empty where it can."""
    if there is None:
        return "it did not ask it"
    if not summary["drawn"]:
        return "these items are no random part of all"
    if there.missing or len(there.outcomes) < there.of:
        return f"it has {len(there.outcomes):,} of {there.of:,} items"
    prompts = {id_: one.prompt for id_, one in here.outcomes.items()}
    if why := next(unlike_questions(prompts, here.options, there), ""):
        return why
    every = [*here.outcomes.values(), *there.outcomes.values()]
    if any(not one.rules[rule].read() for one in every for rule in RULES):
        return "not every answer is judged"
    return "" if len(here.outcomes) > 2 else "it takes three items at least"


def _estimate(here: TaskResults, there: TaskResults, rule: Rule) -> stats.Estimate:
    asked = [there.outcomes[id_] for id_ in here.outcomes]
    return stats.controlled(
        [one.rules[rule].values[0] for one in here.outcomes.values()],
        [[stats.mean(one.rules[rule].values) for one in asked]],
        [stats.mean([stats.mean(one.rules[rule].values) for one in there.outcomes.values()])],
        there.of,
        clusters(asked),
        strata=strata(asked),
        bounds=here.bounds,
        scale=here.scale,
    )
