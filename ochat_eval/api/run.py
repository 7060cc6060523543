"""A run on disk, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ochat_eval.api import comparison
from ochat_eval.api.comparison import RUNS, Comparison, Name
from ochat_eval.api.frames import ITEMS, RESPONSES, SCORES, frame
from ochat_eval.api.shown import Page, Table
from ochat_eval.baseline.find import RECORDED, find
from ochat_eval.baseline.runs import read_summary
from ochat_eval.records import Item, Response, Score, UserError
from ochat_eval.report import scores_table
from ochat_eval.run import store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run's folder. Everything is read when it is asked for, so that it is what stands there.

    Attributes:
        path: the folder; what is in it, docs/formats.md says.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path.absolute())

    @property
    def name(self) -> str:
        """The folder's name: `run=NAME` on the command line."""
        return self.path.name

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json: by benchmark and rule `score`, `n`, `ci95`, rates; docs/formats.md.

        Raises:
            UserError: the run is not reported yet.
        """
        return read_summary(self.path)

    @property
    def report(self) -> Page:
        """The path of report.html; a notebook shows the page."""
        return Page(self.path / store.REPORT)

    def table(self) -> Table:
        """The scores with their intervals and rates, both rules.

        Raises:
            UserError: the run is not reported yet.
        """
        summary = self.summary
        return Table(scores_table.terminal(summary), scores_table.markdown(summary))

    def items(self) -> pd.DataFrame:
        """What was asked, a row an item: columns as in items.jsonl."""
        return frame(self._items(), ITEMS)

    def responses(self) -> pd.DataFrame:
        """What was answered, a row an item, sample and turn: columns as in responses.jsonl, with
        `task` and `subset`."""
        return frame(self._records(store.RESPONSES, Response), RESPONSES, self._items())

    def scores(self) -> pd.DataFrame:
        """The verdicts, a row a response and rule: columns as in scores.jsonl, with `task` and
        `subset`. `value` is 0 or 1, or a judge's rating; NaN: a verdict that could not be read."""
        return frame(self._records(store.SCORES, Score), SCORES, self._items())

    def compare(self, other: Name) -> Comparison:
        """The other run less this one, over the items that both asked; see `compare`."""
        return comparison.compare(self, other)

    def _items(self) -> Iterator[Item]:
        return self._records(store.ITEMS, Item)

    def _records(self, file: str, cls: Any) -> Iterator[Any]:
        path = self.path / file
        if not path.exists():
            raise UserError(f"{self.path} has no {file} yet: it was not run so far")
        return store.read_records(path, cls)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_markdown_(self) -> str:
        if not (self.path / store.SUMMARY).exists():
            return f"`{self!r}`"
        return f"`{self!r}`\n\n{self.table().markdown}"


def load(name: Name) -> Run:
    """A run by its name under results/runs, or by its folder.

    Raises:
        UserError: there is none, or it is a recorded run, which has no texts.
    """
    path = find(os.fspath(name), RUNS)
    if (path / RECORDED).exists():
        raise UserError(
            f"{path} is a recorded run, without texts: compare and gate take it by its name"
        )
    return Run(path)


def runs(folder: Name = RUNS) -> list[Run]:
    """The runs in a folder, the newest last."""
    found = [path.parent for path in Path(folder).glob(f"*/{store.MANIFEST}")]
    made = {path: str(store.read_json(path / store.MANIFEST).get("created", "")) for path in found}
    return [Run(path) for path in sorted(found, key=lambda path: (made[path], path.name))]
