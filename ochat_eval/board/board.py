"""What the board knows: its runs, their items, how they differ; what it writes: notes and marks."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ochat_eval.baseline.compare import corrected
from ochat_eval.baseline.difference_formats import HEADERS, cells_of
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import read_run
from ochat_eval.baseline.sides import compare_sides
from ochat_eval.board.answers import Listing, RunAnswers, Search, files_of, read_why
from ochat_eval.board.notes import Note, Notes, Tags, read_notes, write_notes
from ochat_eval.board.shelf import Shelf
from ochat_eval.records import RULES, Rule, Score, UserError
from ochat_eval.report.page.entries import FILTERS, Run, about
from ochat_eval.review.marks import Key, Mark, MarkFile, Opinion, read_marks, reading_digest
from ochat_eval.review.walk import asked_of
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.manifest import read_facts

MOST_RUNS = 8
"""Runs side by side."""
MOST_ROWS = 500
"""Rows of a list at once."""
_KEPT = 4
"""Lists of answers, and results to compare, that are kept in memory."""
T = TypeVar("T")


class _Kept(Generic[T]):
    """The values that were used last, each as long as its stamp is the same."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[Hashable, T]] = OrderedDict()

    def get(self, key: Hashable, stamp: Hashable, make: Callable[[], T]) -> T:
        """The value of a key in this state; made where it is not there."""
        found = self._values.get(key)
        if found is None or found[0] != stamp:
            found = stamp, make()
        self._values[key] = found
        self._values.move_to_end(key)
        while len(self._values) > _KEPT:
            self._values.popitem(last=False)
        return found[1]


class Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run's new tags and note.

    Attributes:
        before: those that the person saw; None: they take the place of any.
    """

    run: str
    tags: Tags
    note: Note
    before: Notes | None = None


class Marked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's mark on a reading of the first of some runs; as in `marks.Mark`.

    Attributes:
        before: the mark that the person saw on it.
    """

    runs: list[str]
    id: str
    sample: int
    turn: int
    rules: tuple[Rule, ...]
    mark: Opinion
    before: Opinion | None


class Board:
    """Answers the page's questions. Its methods may be called by several threads."""

    def __init__(self, root: Path):
        """Takes the folder of the runs."""
        self.shelf = Shelf(root)
        self._looking = threading.Lock()
        self._working = threading.Lock()
        self._comparing = threading.Lock()  # takes seconds, while items are looked at
        self._listings: _Kept[Listing] = _Kept()
        self._results: _Kept[RunResults] = _Kept()

    def runs(self) -> list[dict[str, Any]]:
        """All runs; see `Shelf.row`."""
        with self._looking:
            return self.shelf.rows()

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """All of some runs but their items and answers: for each what the report has of it (without
        `lengths`), and its `row`. It takes a moment, whatever their size.

        Raises:
            UserError: there is no such run, or a file of it cannot be read.
        """
        folders = self._folders(names)
        with self._looking:
            rows = [self.shelf.row(folder) for folder in folders]
        for folder in folders:
            read_why(folder)  # damaged, it is refused here, not on the page
        return {
            "runs": [
                {**about(_run(folder), {}), "row": row}
                for folder, row in zip(folders, rows, strict=True)
            ]
        }

    def index(self, names: Sequence[str]) -> dict[str, Any]:
        """What a list of the runs' items begins with: all their answers are looked at for it.

        Returns:
            `names` (benchmarks and their parts), `filters`, `size`, `others` (of each further run,
            items that the first did not ask), `lengths` (of each run, as in the report).

        Raises:
            UserError: there is no such run, or a file of it cannot be read.
        """
        folders = self._folders(names)
        with self._working:
            listing = self._listing(folders)
            return {
                "names": listing.names,
                "filters": [[one.value, one.said] for one in FILTERS],
                "size": len(listing),
                "others": listing.others,
                "lengths": [
                    {task: lengths.counts() for task, lengths in one.lengths.items()}
                    for one in listing.runs
                ],
            }

    def items(
        self, names: Sequence[str], search: Search, start: int, count: int, item: str
    ) -> dict[str, Any]:
        """Part of the list of the answers that fit.

        Args:
            start, count: which rows of it.
            item: an id and, of a further sample, `#` and its number: its place is told.

        Returns:
            `rows`, `total` (how many fit), `size` (how many there are), `place` (-1: not among
            them).
        """
        folders = self._folders(names)
        with self._working:
            listing = self._listing(folders)
            found = listing.find(search)
            places = (
                n
                for n, one in enumerate(found)
                if item.startswith(one[0]) and item == listing.name(*one)
            )
            shown = found[start : start + min(count, MOST_ROWS)]
            return {
                "rows": [listing.row(*one) for one in shown],
                "total": len(found),
                "size": len(listing),
                "place": next(places, -1) if item else -1,
            }

    def item(self, names: Sequence[str], item_id: str) -> dict[str, Any]:
        """All that is shown of an item, and of the first run's readings what is asked of a person.

        Returns:
            As `entries.entry`, and `readings`: `sample`, `turn`, `rules` that are asked about
            together, `mark` (null: none yet, or the reading has changed since).
        """
        folders = self._folders(names)
        with self._working:
            listing = self._listing(folders)
            found = listing.entry(item_id)
            answers = _Answers(listing.runs[0], item_id)
        marks = read_marks(folders[0]) if answers.readable else {}
        readings = [
            [*place, rules, answers.mark(marks, *place, rules)]
            for place, scores in answers.readable.items()
            for rules in asked_of(scores)
        ]
        return {**found, "readings": readings}

    def differences(self, names: Sequence[str]) -> dict[str, Any]:
        """Each further run against the first, item by item, as `ochat-eval compare` has it.

        Returns:
            `headers`, and `pairs`: `a`, `b`, `rows` of cells.
        """
        folders = self._folders(names)
        with self._comparing:
            sides = [
                self._results.get(f, files_of(f), lambda f=f: read_run(f))  # type: ignore[misc]
                for f in folders
            ]
            every = corrected([compare_sides(sides[0], side, RULES) for side in sides[1:]])
        pairs = [
            {"a": names[0], "b": b, "rows": [cells_of(row) for row in rows]}
            for b, rows in zip(names[1:], every, strict=True)
        ]
        return {"headers": HEADERS, "pairs": pairs}

    def note(self, asked: Noted) -> Notes:
        """Writes down tags and a note of a run, unless it has got others since.

        Returns:
            Those that it has now.

        Raises:
            UserError: there is no such run, or the disk refused.
        """
        with self._looking:
            folder = self.shelf.folder(asked.run)
            if asked.before is not None and (there := read_notes(folder)) != asked.before:
                return there
            return write_notes(folder, Notes(asked.tags, asked.note))

    def mark(self, asked: Marked) -> Opinion:
        """Writes down what a person thinks of a reading of the first run's, unless it has got a
        mark since that the person has not seen.

        Returns:
            The mark that it has now.

        Raises:
            UserError: there is no such reading, or another process works in the run's folder.
        """
        folders = self._folders(asked.runs)
        with self._working:
            answers = _Answers(self._listing(folders).runs[0], asked.id)
            scores = answers.readable.get((asked.sample, asked.turn), {})
            if not scores or asked.rules not in asked_of(scores):
                raise UserError("there is no such reading to mark")
            with (
                contextlib.closing(RunDir(folders[0])),
                contextlib.closing(MarkFile(folders[0])) as file,
            ):
                place = asked.sample, asked.turn
                there = answers.mark(read_marks(folders[0]), *place, asked.rules)
                if there not in (None, asked.before):
                    return there
                for rule in asked.rules:
                    digest = answers.digest(*place, scores[rule])
                    file.add(Mark(asked.id, *place, rule, asked.mark, digest))
        return asked.mark

    def _folders(self, names: Sequence[str]) -> list[Path]:
        if not 1 <= len(names) <= MOST_RUNS or len(set(names)) < len(names):
            raise UserError(f"name 1 to {MOST_RUNS} runs, each once")
        with self._looking:
            return [self.shelf.folder(name) for name in names]

    def _listing(self, folders: Sequence[Path]) -> Listing:
        """The runs' list of answers as it is now."""
        listing = self._listings.get(
            tuple(folders),
            tuple(map(files_of, folders)),
            lambda: Listing([RunAnswers(_run(folder)) for folder in folders]),
        )
        listing.update()
        return listing


class _Answers:
    """What a run has of an item, as far as a person may mark it.

    Attributes:
        readable: by sample and turn what both rules read; none where a judge rates it.
    """

    def __init__(self, run: RunAnswers, item_id: str):
        self._id = item_id
        self.readable: dict[tuple[int, int], dict[Rule, Score]] = {}
        self._texts = {(r.sample, r.turn): r.text for r in run.responses.of(item_id)}
        if run.run.rated(item_id.partition("/")[0]):
            return
        for score in run.scores.of(item_id):
            if (score.sample, score.turn) in self._texts:
                self.readable.setdefault((score.sample, score.turn), {})[score.rule] = score
        self.readable = {k: v for k, v in self.readable.items() if len(v) == len(RULES)}

    def digest(self, sample: int, turn: int, score: Score) -> str:
        return reading_digest(self._texts[sample, turn], score)

    def mark(
        self, marks: Mapping[Key, Mark], sample: int, turn: int, rules: Sequence[Rule]
    ) -> Opinion | None:
        """The mark that these rules' reading has; None where it has changed since, too."""
        scores = self.readable[sample, turn]
        given = {
            mark.mark
            for rule in rules
            if (mark := marks.get((self._id, sample, turn, rule)))
            and mark.reading == self.digest(sample, turn, scores[rule])
        }
        return given.pop() if len(given) == 1 else None


def _run(folder: Path) -> Run:
    run = Run(folder)
    if not (folder / store.SUMMARY).exists():  # not yet scored: what it has is shown
        model = read_facts(folder / store.MANIFEST).model
        run.summary = {"model": model, "run": folder.name, "tasks": {}}
    return run
