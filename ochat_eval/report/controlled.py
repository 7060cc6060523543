"""A limited run's scores, told better by earlier runs that answered every item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.figures import sharing
from ochat_eval.baseline.results import TaskResults, clusters, strata
from ochat_eval.baseline.runs import read, read_run
from ochat_eval.baseline.same_work import unlike_questions
from ochat_eval.records import RULES, Rule
from ochat_eval.terminal.grid import interval


def add_controlled(
    tasks: Mapping[str, dict[str, Any]], folder: Path, names: Sequence[str]
) -> dict[str, Any] | None:
    """Adds to a summary's benchmarks what earlier runs tell of them.

    Under each rule `controlled` (`against`, `score`, `stderr`, `ci95` of `stats.controlled`, in the
    benchmark's unit), and a note; of a run that can tell nothing, a note that says why.

    Args:
        tasks: summary.json's, of a run whose scores are in `folder`.
        names: of the earlier runs, recorded or not; runs are looked for beside `folder`.

    Returns:
        By rule the `score` and `ci95` of the benchmarks' plain average, in points, and what is
        `said` of them; None where there is one benchmark only, or one of which nobody knows all.

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
            answers = summary[rule].get("samples", {}).get("answers_stderr", 0.0)
            found = _estimate(run.tasks[task], list(fit.values()), rule, answers)
            figures = found.figures()
            del figures["n"]
            summary[rule]["controlled"] = {"against": list(fit), **figures}
            told.append(f"{rule} {found.score:.2f} ({interval(found.lo, found.hi)})")
        if fit:
            by = f"with {' and '.join(fit)} as control, of all"
            summary["notes"].append(f"{by}: {', '.join(told)}")
    return _average(tasks, {name for name, one in run.tasks.items() if _is_whole(one)})


def _average(
    tasks: Mapping[str, Mapping[str, Any]], whole: Collection[str]
) -> dict[str, Any] | None:
    """What `add_controlled` returns; those that were asked `whole` are known without an error."""
    if len(tasks) < 2 or len(whole) == len(tasks):
        return None
    made: dict[str, Any] = {}
    questions, told = sharing(), []
    for rule in RULES:
        scores, ends = [], []
        for name, one in tasks.items():
            found = one[rule] if name in whole else one[rule].get("controlled")
            if found is None or "incomparable" in one[rule]:
                return None
            points = 100 / (one["scale"] * one["bounds"][1])
            scores.append(points * found["score"])
            low, high = (found["score"],) * 2 if name in whole else found["ci95"]
            ends.append((points * low, points * high))
        names = [questions.get(name, name) for name in tasks]
        low, high = stats.average_interval(scores, ends, names)
        made[rule] = {"score": stats.mean(scores), "ci95": [low, high]}
        told.append(f"{rule} {made[rule]['score']:.2f} ({interval(low, high, '.2f')})")
    return {**made, "said": f"average of {len(tasks)} benchmarks, of all: {', '.join(told)}"}


def _unfit(
    here: TaskResults, there: TaskResults | None, summary: Mapping[str, Any], controls: int
) -> str:
    """Why an earlier run cannot be one of so many controls; empty where it can."""
    if here.asked >= here.of:
        return "all its items are asked"
    if not summary["drawn"]:
        return "these items are no random part of all"
    prompts = {id_: one.prompt for id_, one in here.outcomes.items()}
    if why := unfit(there, prompts, here.options):
        return why
    if there is not None and here.other_judges(there):
        return f"it is judged by {', '.join(there.judges)}"
    if not _is_read(here):
        return "not every answer is judged"
    least = controls + 2
    return "" if len(here.outcomes) >= least else f"it takes {least} items at least"


def unfit(there: TaskResults | None, prompts: Mapping[str, str], options: Mapping[str, Any]) -> str:
    """Why an earlier run can be no control; empty where it can.

    Args:
        there: what it has of the benchmark.
        prompts: `Outcome.prompt` of the items that will be compared, so far as they are known.
        options: the new run's options of the benchmark.
    """
    if there is None:
        return "it did not ask it"
    if len(there.outcomes) < there.of:
        return f"it has {len(there.outcomes):,} of {there.of:,} items"
    if why := next(unlike_questions(prompts, options, there), ""):
        return why
    return "" if _is_read(there) else "not every answer is judged"


def _is_whole(task: TaskResults) -> bool:
    return len(task.outcomes) == task.of and _is_read(task)


def _is_read(task: TaskResults) -> bool:
    return all(one.rules[rule].read() for one in task.outcomes.values() for rule in RULES)


def _estimate(
    here: TaskResults, earlier: Sequence[TaskResults], rule: Rule, answers: float
) -> stats.Estimate:
    """`stats.controlled` in the benchmark's unit; `answers`: the error of the answers drawn."""
    values = [
        {id_: stats.mean(one.rules[rule].values) for id_, one in there.outcomes.items()}
        for there in earlier
    ]
    asked = [earlier[0].outcomes[id_] for id_ in here.outcomes]
    found = stats.controlled(
        [one.rules[rule].values[0] for one in here.outcomes.values()],
        [[of_one[id_] for id_ in here.outcomes] for of_one in values],
        [stats.mean(list(of_one.values())) for of_one in values],
        earlier[0].of,
        clusters(asked),
        strata=strata(asked),
        bounds=here.bounds,
        answers=(answers / here.scale) ** 2,
    )
    return stats.scaled(found, here.scale)
