"""Looks at a benchmark while a run goes on: the first that tells decides the gate.

The looks stand at the ends of planned blocks of items (`benchmark.blocks`), whatever order the
answers came in, so that the same answers decide the same, in a run that goes on as in one that is
gated later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path

from ochat_eval import stats
from ochat_eval.baseline.gate import Look, TaskGate, gate_task
from ochat_eval.baseline.policy import Policy
from ochat_eval.baseline.results import RunResults
from ochat_eval.benchmark.blocks import blocks
from ochat_eval.benchmark.task import Task
from ochat_eval.config.again import tasks_of
from ochat_eval.records import Item
from ochat_eval.run import store
from ochat_eval.run.manifest import read_facts


@dataclass(frozen=True, slots=True)
class Looks:
    """Where a benchmark is looked at.

    Attributes:
        blocks: the ids of its items, block by block; a look after each.
        confidences: of the looks' intervals.
    """

    blocks: Sequence[Sequence[str]]
    confidences: Sequence[float]

    @property
    def planned(self) -> int:
        """Items in all."""
        return sum(map(len, self.blocks))

    def seen(self, look: int) -> list[str]:
        """The items that a look (from 0) sees."""
        return [id_ for block in self.blocks[: look + 1] for id_ in block]


def looks_of(task: Task, items: Iterable[Item], seed: int) -> Looks:
    """The looks at a benchmark's planned items: a function of these and the run's seed only."""
    ids: list[str] = []

    def units() -> Iterator[tuple[str, str]]:
        for item in items:
            ids.append(item.id)
            yield task.stratum(item), task.cluster(item)

    found = blocks(units(), f"{seed}/{task.name}/blocks", stats.LOOKS)
    shares = [n / len(ids) for n in accumulate(map(len, found))]
    confidences = stats.look_confidences(shares, stats.CONFIDENCE) if shares else ()
    return Looks([[ids[place] for place in block] for block in found], confidences)


def looks_at(folder: Path) -> dict[str, Looks]:
    """The looks at each benchmark of a run's folder.

    Raises:
        UserError: it is no run's folder, or damaged.
    """
    facts = read_facts(folder / store.MANIFEST)
    by_task = groupby(store.read_records(folder / store.ITEMS, Item), key=lambda item: item.task)
    tasks = tasks_of(facts)
    return {name: looks_of(tasks[name], items, facts.seed) for name, items in by_task}


def look_at(
    run: RunResults, recorded: RunResults, name: str, policy: Policy, looks: Looks, look: int
) -> TaskGate:
    """The verdict of one look (from 0), whose items all have an outcome in `run`.

    Args:
        policy: the benchmark's own.
    """
    task = run.tasks[name]
    outcomes = {id_: task.outcomes[id_] for id_ in looks.seen(look)}
    seen = dataclasses.replace(task, outcomes=outcomes, asked=len(outcomes))
    part = dataclasses.replace(run, tasks={name: seen})
    at = Look(looks.confidences[look], looks.planned)
    return gate_task(part, recorded, name, policy, part=True, look=at)


def decides(row: TaskGate) -> bool:
    """Whether a look's verdict ends the asking: all but INCONCLUSIVE do."""
    return row.verdict != "INCONCLUSIVE"


def followed(
    run: RunResults,
    recorded: RunResults,
    name: str,
    policy: Policy,
    looks: Looks,
) -> Iterator[TaskGate]:
    """The verdicts of the looks, one by one, up to the first that decides.

    Ends before a look some of whose items have no answer. Arguments as `look_at`.
    """
    for number, block in enumerate(looks.blocks):
        if any(id_ not in run.tasks[name].outcomes for id_ in block):
            return
        row = look_at(run, recorded, name, policy, looks, number)
        yield row
        if decides(row):
            return
