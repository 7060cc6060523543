"""A limited run's scores, told better by earlier runs that answered every item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.results import TaskResults, clusters, strata
from ochat_eval.baseline.runs import read, read_run
from ochat_eval.baseline.same_work import unlike_questions
from ochat_eval.records import RULES, Rule
from ochat_eval.terminal.grid import interval


def add_controlled(tasks: Mapping[str, dict[str, Any]], folder: Path, names: Sequence[str]) -> None:
    """Adds to a summary's benchmarks what earlier runs tell of them.

    Under each rule `controlled` (`against`, `score`, `stderr`, `ci95` of `stats.controlled`, in the
    benchmark's unit), and a note; of a run that can tell nothing, a note that says why.

    Args:
        tasks: summary.json's, of a run whose scores are in `folder`.
        names: of the earlier runs, recorded or not; runs are looked for beside `folder`.

    Raises:
        UserError: there is no such run, or it is damaged.
    """
    run, earlier = read_run(folder), {name: read(name, folder.parent) for name in names}
    for task, summary in tasks.items():
        fit: dict[str, TaskResults] = {}
        for name, one in earlier.items():
            there = one.tasks.get(task)
            why = _unfit(run.tasks[task], there, summary, len(fit) + 1)
            if there is None or why:
                summary["notes"].append(f"{name} tells no more of it: {why}")
            else:
                fit[name] = there
        told = []
        for rule in RULES if fit else ():
            found = _estimate(run.tasks[task], list(fit.values()), rule)
            summary[rule]["controlled"] = {
                "against": list(fit),
                "score": found.score,
                "stderr": found.stderr,
                "ci95": [found.lo, found.hi],
            }
            told.append(f"{rule} {found.score:.2f} ({interval(found.lo, found.hi)})")
        if fit:
            by = f"with {' and '.join(fit)} as control, of all"
            summary["notes"].append(f"{by}: {', '.join(told)}")


def _unfit(
    here: TaskResults, there: TaskResults | None, summary: Mapping[str, Any], controls: int
) -> str:
    """Why an earlier run cannot be one of so many controls; empty where it can."""
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
    least = controls + 2
    return "" if len(here.outcomes) >= least else f"it takes {least} items at least"


def _estimate(here: TaskResults, earlier: Sequence[TaskResults], rule: Rule) -> stats.Estimate:
    values = [
        {id_: stats.mean(one.rules[rule].values) for id_, one in there.outcomes.items()}
        for there in earlier
    ]
    asked = [earlier[0].outcomes[id_] for id_ in here.outcomes]
    return stats.controlled(
        [one.rules[rule].values[0] for one in here.outcomes.values()],
        [[of_one[id_] for id_ in here.outcomes] for of_one in values],
        [stats.mean(list(of_one.values())) for of_one in values],
        earlier[0].of,
        clusters(asked),
        strata=strata(asked),
        bounds=here.bounds,
        scale=here.scale,
    )
