"""The answers of other runs that a judge compares a run's own with."""

from __future__ import annotations

from collections.abc import Sequence

from ochat_eval.baseline.find import find
from ochat_eval.records import Item, Response, UserError
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.stages.plan import Plan


class Baselines:
    """By benchmark the run that it is compared with, read where it lies."""

    def __init__(self, planned: Plan):
        self._planned = planned
        self._open: dict[str, tuple[Index[Item], Index[Response]]] = {}

    def check(self) -> None:
        """Raises UserError where a run that is named is not there, or has no answers."""
        for task in self._planned.tasks.values():
            if task.compared_with() is not None:
                self._indexes(task.name)

    def of(self, item: Item) -> Sequence[Response]:
        """The other run's responses to an item; none where it did not ask it.

        Raises:
            UserError: it asked something else under the item's name.
        """
        items, responses = self._indexes(item.task)
        asked = items.of(item.id)
        if asked and (asked[0].turns, asked[0].system) != (item.turns, item.system):
            raise UserError(
                f"tasks.{item.task}.against: {items.path.parent} asked something else as "
                f"{item.id!r}; compare runs of the same questions"
            )
        return responses.of(item.id) if asked else ()

    def _indexes(self, task: str) -> tuple[Index[Item], Index[Response]]:
        if task not in self._open:
            name = str(self._planned.tasks[task].compared_with())
            folder = find(name, self._planned.run.path.parent)
            for file in (store.ITEMS, store.RESPONSES):
                if not (folder / file).exists():
                    raise UserError(f"tasks.{task}.against={name}: {folder} has no {file}")
            if folder.resolve() == self._planned.run.path.resolve():
                raise UserError(f"tasks.{task}.against={name} is this run itself; name another")
            self._open[task] = (
                Index(folder / store.ITEMS, Item),
                Index(folder / store.RESPONSES, Response),
            )
        return self._open[task]
