"""report.html: one self-contained page of a run, or of several runs side by side.

All items are in it: an index of small numbers that is read at once, and blocks of texts, packed,
that are unpacked when an item of theirs is looked at. The page may load nothing and run nothing
but its own script (its digest is in the policy); model text reaches the document as text only.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from ochat_eval.report.page.frame import assets, page_file, write_data

SHOWN = 100_000
"""Answers with their texts on a page; many more a browser does not hold."""
_BLOCK_ITEMS = 200
_BLOCK_CHARACTERS = 2_000_000
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
    style, script = assets(*STYLES), assets(*SCRIPTS, *_OF_A_FILE)
    html = assets("page.html").replace("<!--sections-->", assets("sections.html"))
    lengths: list[dict[str, Lengths]] = [{} for _ in runs]
    with page_file(path, html, style, script) as file:
        index = _write_items(file, runs, lengths)
        write_data(file, "index", index)
        write_data(file, "about", {"runs": list(map(about, runs, lengths))})


def _write_items(
    file: TextIO, runs: Sequence[Run], lengths: Sequence[dict[str, Lengths]]
) -> dict[str, Any]:
    """Writes the blocks of texts; returns the index.

    Returns:
        `names`: task and subset by number; `filters`: as in `entries`; `rows`: for each answer the
        number of its name, the item's index, block, place in it, and the rest as `entries.tails`
        has it; `leftOut`: answers that are not on the page; `others`: for each further run, items
        that the first did not ask.
    """
    blocks = _Blocks(file)
    rows: list[list[float]] = []
    names: dict[tuple[str, str], int] = {}
    left_out, shared = 0, [0] * len(runs)
    for item in runs[0].items():
        answers = [answers_of(run, item) for run in runs]
        for number, run in enumerate(runs[1:], 1):
            if also := run.asked.of(item.id):
                shared[number] += 1
                if asks(also[0]) != asks(item):
                    answers[number]["item"] = also[0]
        for every, found in zip(lengths, answers, strict=True):
            for response in found["responses"]:
                every.setdefault(item.task, Lengths()).add(response)
        made = list(tails(answers, runs[0].rated(item.task)))
        if left_out or len(rows) + len(made) > SHOWN:
            left_out += len(made)
            continue
        name = names.setdefault((item.task, item.subset), len(names))
        place = blocks.add(name, item, answers)
        rows += [[name, item.index, *place, *tail] for tail in made]
    blocks.flush()
    others = [len(run.asked) - n for run, n in zip(runs[1:], shared[1:], strict=True)]
    return {
        "names": list(names), "filters": FILTERS, "rows": rows, "leftOut": left_out,
        "others": others,
    }  # fmt: skip


class _Blocks:
    """Packs items together, those of a subset with each other: their prompts are alike."""

    def __init__(self, file: TextIO):
        self._file = file
        self._number = self._characters = 0
        self._block: list[dict[str, Any]] = []
        self._name: int | None = None

    def add(self, name: int, item: Item, answers: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Returns the number of the item's block and its place in it."""
        full = len(self._block) == _BLOCK_ITEMS or self._characters > _BLOCK_CHARACTERS
        if full or name != self._name:
            self.flush()
        self._name = name
        self._block.append(entry(item, answers))
        written = [r for found in answers for r in (*found["responses"], *found["verdicts"])]
        texts = (*item.turns, *(r.text for r in written), *(r.reasoning or "" for r in written))
        self._characters += sum(map(len, texts))
        return self._number, len(self._block) - 1

    def flush(self) -> None:
        """Writes what has been gathered."""
        if self._block:
            write_data(self._file, f"block{self._number}", self._block)
            self._number, self._characters = self._number + 1, 0
            self._block.clear()
