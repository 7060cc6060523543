"""report.html: one self-contained page of a run, or of several runs side by side.

All items are in it: an index of small numbers that is read at once, and blocks of texts, packed,
that are unpacked when an item of theirs is looked at. The page may load nothing and run nothing
but its own script (its digest is in the policy); model text reaches the document as text only.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from ochat_eval.records import Item
from ochat_eval.report.page.entries import (
    FILTERS,
    Lengths,
    Run,
    about,
    answers_of,
    asks,
    entry,
    tails,
)
from ochat_eval.report.page.frame import as_json, assets, element, page_file, write_data

SHOWN = 100_000
"""Answers with their texts on a page; many more a browser does not hold."""
_BLOCK_ITEMS = 200
_BLOCK_CHARACTERS = 2_000_000
_AHEAD = 4
"""Blocks that wait to be packed."""
STYLES = ("tokens.css", "page.css", "items.css", "phone.css", "print.css")
"""What a page that shows runs is drawn with."""
SCRIPTS = (
    "basics.js",
    "pictures.js",
    "overview.js",
    "sections.js",
    "review.js",
    "detail.js",
    "items.js",
)
"""What shows runs; where they and their items come from is another script's."""
_OF_A_FILE = ("packed.js", "page.js")


def write_page(path: Path, runs: Sequence[Run]) -> None:
    """Writes the page of the first run's items, each with the answers of all runs.

    Raises:
        UserError: the page cannot be written, or a run's file is damaged.
    """
    first, *others = runs
    shared = [0] * len(others)
    with begun_page(path, len(runs)) as page:
        for item in first.items():
            answers = [answers_of(run, item) for run in runs]
            for number, (run, found) in enumerate(zip(others, answers[1:], strict=True)):
                if also := run.asked.of(item.id):
                    shared[number] += 1
                    if asks(also[0]) != asks(item):
                        found["item"] = also[0]
            page.add(item, answers, first.rated(item.task))
        alone = [len(run.asked) - both for run, both in zip(others, shared, strict=True)]
        page.finish(runs, alone)


@contextlib.contextmanager
def begun_page(path: Path, runs: int) -> Iterator[Page]:
    """A page of so many runs; it appears under its name when it has been finished.

    Raises:
        UserError: it cannot be written.
    """
    style, script = assets(*STYLES), assets(*SCRIPTS, *_OF_A_FILE)
    html = assets("page.html").replace("<!--sections-->", assets("sections.html"))
    with page_file(path, html, style, script) as file, ThreadPoolExecutor(1) as packer:
        yield Page(file, packer, runs)


class Page:
    """A page that is being written: its items one by one, then all else."""

    def __init__(self, file: TextIO, packer: Executor, runs: int):
        self._file = file
        self._blocks = _Blocks(file, packer)
        self._rows: list[list[float]] = []
        self._names: dict[tuple[str, str], int] = {}
        self._left_out = 0
        self._lengths: list[dict[str, Lengths]] = [{} for _ in range(runs)]

    def add(self, item: Item, answers: Sequence[dict[str, Any]], rated: bool) -> None:
        """Adds an item.

        Args:
            answers: what each run has of it, as `entries.answers_of` gives it.
            rated: whether the benchmark's values are ratings.
        """
        for every, found in zip(self._lengths, answers, strict=True):
            for response in found["responses"]:
                every.setdefault(item.task, Lengths()).add(response)
        made = list(tails(answers, rated))
        if self._left_out or len(self._rows) + len(made) > SHOWN:
            self._left_out += len(made)
            return
        name = self._names.setdefault((item.task, item.subset), len(self._names))
        place = self._blocks.add(name, item, answers)
        self._rows += [[name, item.index, *place, *tail] for tail in made]

    def finish(self, runs: Sequence[Run], others: Sequence[int] = ()) -> None:
        """Writes the index of the items, and what is known of the runs beside these.

        The index has `names`: task and subset by number; `filters`: as in `entries`; `rows`: for
        each answer the number of its name, the item's index, block, place in it, and the rest as
        `entries.tails` has it; `leftOut`: answers that are not on the page; `others`.

        Args:
            others: for each further run, items that the first did not ask.
        """
        self._blocks.finish()
        index = {
            "names": list(self._names), "filters": FILTERS, "rows": self._rows,
            "leftOut": self._left_out, "others": others,
        }  # fmt: skip
        write_data(self._file, "index", index)
        write_data(self._file, "about", {"runs": list(map(about, runs, self._lengths))})


class _Blocks:
    """Packs items together, those of a subset with each other: their prompts are alike."""

    def __init__(self, file: TextIO, packer: Executor):
        self._file, self._packer = file, packer
        self._packed: deque[Future[str]] = deque()
        self._number = self._characters = 0
        self._block: list[dict[str, Any]] = []
        self._name: int | None = None

    def add(self, name: int, item: Item, answers: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Returns the number of the item's block and its place in it."""
        full = len(self._block) == _BLOCK_ITEMS or self._characters > _BLOCK_CHARACTERS
        if full or name != self._name:
            self._flush()
        self._name = name
        self._block.append(entry(item, answers))
        written = [r for found in answers for r in (*found["responses"], *found["verdicts"])]
        texts = (*item.turns, *(r.text for r in written), *(r.reasoning or "" for r in written))
        self._characters += sum(map(len, texts))
        return self._number, len(self._block) - 1

    def finish(self) -> None:
        """Writes what has been gathered."""
        self._flush()
        self._write(0)

    def _flush(self) -> None:
        """Has the block packed, which another core can do meanwhile."""
        if self._block:
            data = as_json(self._block)
            self._packed.append(self._packer.submit(element, f"block{self._number}", data))
            self._number, self._characters = self._number + 1, 0
            self._block.clear()
            self._write(_AHEAD)

    def _write(self, ahead: int) -> None:
        """Writes what is packed, but for the last so many blocks."""
        while len(self._packed) > ahead:
            self._file.write(self._packed.popleft().result())
