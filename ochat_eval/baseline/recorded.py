"""A recorded run: written, read, and combined from a run and its reruns.

It is a small folder without anybody's text, fit to be kept in a repository:

- `recorded.json`: what the run was (model, identity, versions, hardware) and, per benchmark and
  rule, its score and ψ, the rate at which verdicts flip between its reruns;
- `items.jsonl`: a line an item: digests of question and responses, finish reasons, token counts,
  and what each rule read and decided, in the run and in its reruns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ochat_eval import stats
from ochat_eval.baseline.find import RECORDED
from ochat_eval.baseline.results import (
    Outcome,
    RunResults,
    TaskResults,
    Verdicts,
    flip_rates,
    score,
)
from ochat_eval.config.build import task_class
from ochat_eval.records import RULES, UserError
from ochat_eval.run import store
from ochat_eval.run.identity import differences
from ochat_eval.stats.checks import check_numbers

VERSION = 1


def combined(runs: Sequence[RunResults]) -> RunResults:
    """One run with its reruns' verdicts behind its own.

    Benchmarks of which nothing is judged are left out.

    Raises:
        UserError: a rerun did other work, or an item is missing or not judged in one of them.
    """
    first = runs[0]
    for rerun in runs[1:]:
        changed = differences(*(_work(run.identity) for run in (first, rerun)))
        if changed:
            raise UserError(
                f"{rerun.name} is no rerun of {first.name}, it did other work: {changed[0]}"
            )
    tasks = {}
    for name, task in first.tasks.items():
        judged = any(one.rules[rule].values for one in task.outcomes.values() for rule in RULES)
        if judged:
            for run in runs:
                _must_be_whole(run.name, run.tasks[name])
                if run.tasks[name].other_judges(task):
                    raise UserError(
                        f"{run.name} is no rerun of {first.name}: {name} is judged by "
                        f"{', '.join(run.tasks[name].judges)}, not by {', '.join(task.judges)}"
                    )
            tasks[name] = dataclasses.replace(
                task,
                outcomes={
                    id_: _with_reruns(one, [run.tasks[name].outcomes[id_] for run in runs])
                    for id_, one in task.outcomes.items()
                },
            )
    if not tasks:
        raise UserError(f"{first.name}: nothing in it is judged, so there is nothing to record")
    return dataclasses.replace(first, tasks=tasks, runs=len(runs))


def _work(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What reruns must share: not the file of answers, where they were replayed."""
    return {key: value for key, value in identity.items() if key != "replay"}


def _must_be_whole(run: str, task: TaskResults) -> None:
    if task.missing:
        raise UserError(
            f"{run}: {task.missing:,} of {task.asked:,} items of {task.name} have no response; "
            f"{task.to_mend}"
        )
    for one in task.outcomes.values():
        if not all(one.rules[rule].values for rule in RULES):
            raise UserError(f"{run}: {one.id} is not judged; run its command with stage=score")


def _with_reruns(one: Outcome, every: Sequence[Outcome]) -> Outcome:
    rules = {
        rule: dataclasses.replace(
            one.rules[rule],
            values=tuple(run.rules[rule].values[0] for run in every),
            unmatched=tuple(run.rules[rule].unmatched[0] for run in every),
            unread=_unread([run.rules[rule] for run in every]),
        )
        for rule in RULES
    }
    return dataclasses.replace(one, rules=rules)


def _unread(every: Sequence[Verdicts]) -> tuple[float, ...]:
    """The shares of unread verdicts by run; empty where all were read."""
    shares = tuple(one.unread[0] if one.unread else 0.0 for one in every)
    return shares if any(shares) else ()


def write_recorded(folder: Path, recorded: RunResults) -> None:
    """Writes a recorded run, each of its two files whole or not at all."""
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    every = [one for task in recorded.tasks.values() for one in task.outcomes.values()]
    store.write_lines(folder / store.ITEMS, map(_to_line, every))
    store.write_json(
        folder / RECORDED,
        {
            "version": VERSION,
            "model": recorded.model,
            "runs": recorded.runs,
            "tasks": {n: _task_json(t, recorded.runs) for n, t in recorded.tasks.items()},
            "identity": recorded.identity,
            "about": recorded.about,
        },
    )


def _task_json(task: TaskResults, runs: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        name: getattr(task, name) for name in ("metric", "bounds", "scale", "asked", "of")
    }
    if task.judges:
        made["judges"] = task.judges
    for rule in RULES:
        psi, psi_unmatched = flip_rates(task, rule, runs) or (None, None)
        unmatched = [one.rules[rule].unmatched[0] for one in task.outcomes.values()]
        made[rule] = {
            "score": score(task, rule),
            "unmatched": stats.mean(unmatched),
            "psi": psi,
            "psi_unmatched": psi_unmatched,
        }
    return made


def _to_line(one: Outcome) -> dict[str, Any]:
    line = {name: getattr(one, name) for name in ("id", "prompt", "stratum", "responses", "ends")}
    if one.cluster != one.id:
        line["cluster"] = one.cluster
    if one.unfinished:
        line["unfinished"] = one.unfinished
    for rule, verdicts in one.rules.items():
        line[rule] = dataclasses.asdict(verdicts)
        if not verdicts.unread:
            del line[rule]["unread"]
    return line


def read_recorded(folder: Path) -> RunResults:
    """A recorded run.

    Raises:
        UserError: it is damaged, or of a format that this version does not know.
    """
    head = store.read_json(folder / RECORDED)
    if head.get("version") != VERSION:
        raise UserError(f"{folder / RECORDED} has format {head.get('version')}; known: {VERSION}")
    outcomes: dict[str, dict[str, Outcome]] = {}
    for number, line in store.read_lines(folder / store.ITEMS):
        try:
            one = _from_line(line, head.get("runs"))
        except (KeyError, ValueError) as e:
            raise UserError(f"{folder / store.ITEMS} line {number} is no recorded item: {e}") from e
        outcomes.setdefault(one.id.partition("/")[0], {})[one.id] = one
    try:
        recorded = msgspec.convert({**head, "name": folder.name}, _Recorded)
        results = recorded.results(outcomes)
    except (KeyError, ValueError) as e:
        raise UserError(f"{folder / RECORDED} is no recorded run: {e}") from e
    for task in results.tasks.values():
        try:
            _check_values(task)
        except ValueError as e:
            raise UserError(
                f"{folder / store.ITEMS}, of {task.name}: {e}; it is damaged: record it again"
            ) from e
        if task.missing:
            raise UserError(
                f"{folder / store.ITEMS} has {len(task.outcomes):,} items of {task.name}, "
                f"{RECORDED} says {task.asked:,}: it is damaged; record it again"
            )
    return results


def _check_values(task: TaskResults) -> None:
    """ValueError for a value out of the benchmark's bounds, or a share that is none."""
    every = [one.rules[rule] for one in task.outcomes.values() for rule in RULES]
    values = [value for one in every for value in one.values]
    shares = [share for one in every for share in (*one.unmatched, *one.unread)]
    for numbers, bounds in ((values, task.bounds), (shares, (0.0, 1.0))):
        if numbers:
            check_numbers(numbers, bounds)


@dataclass(frozen=True)
class _Task:
    """Of recorded.json, one benchmark."""

    metric: str
    bounds: stats.Bounds
    scale: float
    asked: int
    of: int
    judges: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Recorded:
    """recorded.json, as plain values of these types, whoever wrote it."""

    name: str
    model: str
    runs: int
    identity: dict[str, Any]
    tasks: dict[str, _Task]
    about: dict[str, Any]

    def results(self, outcomes: Mapping[str, Mapping[str, Outcome]]) -> RunResults:
        """What was recorded; KeyError where the identity knows a benchmark not."""
        options = msgspec.convert(self.identity["tasks"], dict[str, dict[str, Any]])
        tasks = {
            name: TaskResults(
                name=name,
                options={**task_class(name, self.name).before, **options[name]},
                outcomes=outcomes.get(name, {}),
                **{f.name: getattr(task, f.name) for f in dataclasses.fields(task)},
            )
            for name, task in self.tasks.items()
        }
        return RunResults(self.name, self.model, self.identity, tasks, self.runs, self.about)


def _from_line(line: Mapping[str, Any], runs: object) -> Outcome:
    values = {"cluster": line["id"], **line, "rules": {rule: line[rule] for rule in RULES}}
    one = msgspec.convert(values, Outcome)
    for verdicts in one.rules.values():
        if not len(verdicts.values) == len(verdicts.unmatched) == runs:
            raise ValueError(f"{len(verdicts.values)} values for {runs} runs")
        if verdicts.unread and len(verdicts.unread) != runs:
            raise ValueError(f"{len(verdicts.unread)} shares unread for {runs} runs")
    return one
