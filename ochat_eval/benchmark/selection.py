"""Which of a benchmark's items are asked."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator

from ochat_eval.benchmark.blocks import even_order
from ochat_eval.benchmark.task import Task
from ochat_eval.records import Item, UserError


class Selection:
    """The items that a task's options ask for, in source order; none is kept in memory.

    `limit` draws a sample in which each subset has its share and each item the same chance. A
    smaller limit's items are among a larger one's.

    `ids`, where given, names the items to ask, among those of other tasks; `limit` draws from
    these.

    Attributes:
        total: how many items the task has in all; known once the items have been gone through.
    """

    def __init__(self, task: Task, seed: int, ids: Iterable[str] | None = None):
        """Raises UserError where `ids` has none of the task's."""
        self.total = 0
        self._task = task
        self._ids = None if ids is None else {i for i in ids if i.partition("/")[0] == task.name}
        if self._ids is not None and not self._ids:
            raise UserError(
                f"ids: the file names no item of {task.name}; leave {task.name} out of task="
            )
        self._seed = seed

    def __iter__(self) -> Iterator[Item]:
        """Goes through the items; with a limit the task's data is read twice.

        Raises:
            UserError: another number of rows than the benchmark has, an unknown subset or id.
        """
        task = self._task
        if task.limit is None:
            yield from self._wanted()
            return
        by_subset: dict[str, list[int]] = {}
        for place, item in enumerate(self._wanted()):
            by_subset.setdefault(item.subset, []).append(place)
        rng = random.Random(f"{self._seed}/{task.name}")
        chosen = _sample(by_subset.values(), task.limit, rng)
        yield from (item for place, item in enumerate(self._wanted()) if place in chosen)

    def _wanted(self) -> Iterator[Item]:
        """The items of the subsets and ids asked for; checks at the end that all were there."""
        task, subsets, total = self._task, dict.fromkeys(self._task.subsets or ()), 0
        known: dict[str, None] = {}
        missing = set(self._ids or ())
        for item in task.items():
            total += 1
            known[item.subset] = None
            if task.subsets is None or item.subset in subsets:
                missing.discard(item.id)
                if self._ids is None or item.id in self._ids:
                    yield item
        self.total, expected = total, task.expected_items()
        if expected is not None and total != expected:
            raise UserError(
                f"{task.name}: the data yields {total:,} items where the benchmark has "
                f"{expected:,}; the data or the options are not the published ones"
            )
        if unknown := [name for name in subsets if name not in known]:
            raise UserError(
                f"tasks.{task.name}.subsets: {task.name} has no subset {unknown[0]!r}; "
                f"it has {', '.join(known)}"
            )
        if missing:
            raise UserError(f"ids: {task.name} as chosen has no item {min(missing)!r}")


def _sample(by_subset: Iterable[list[int]], limit: int, rng: random.Random) -> Collection[int]:
    """The chosen places, of those that each subset's items have.

    They are the first `limit` of the order, gone round from a random place: so that each item is
    as likely as any other, whatever the order.
    """
    order = even_order(by_subset, rng)
    start = rng.randrange(len(order)) if order else 0
    return set((order[start:] + order[:start])[:limit])
