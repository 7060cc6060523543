"""AGIEval (Zhong et al. 2023): eight English multiple-choice exams, zero-shot.

Published setting: openchat's evaluation of January 2024, AGIEval's data v1.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import ClassVar

from ochat_eval.benchmark.shapes import FirstLetter, RowTask
from ochat_eval.benchmark.task import make_item
from ochat_eval.data.files import FileSource, files_of
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.records import Item

_SAT_EN = ("sat-en", "sat-en-without-passage")
# The indices at which sat-en comes to a new passage: the questions of the set without passages
# are the same, and do not say which of them belong together.
_SAT_PASSAGES = (
    0, 5, 9, 13, 17, 23, 28, 33, 37, 42, 46, 52, 57, 61, 67, 71, 76, 79, 83, 87, 92, 98, 103, 109,
    116, 120, 125, 129, 134, 140, 145, 147, 153, 160, 166, 169, 173, 176, 180, 186, 190, 195, 199,
    203,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AgiEval(RowTask, FirstLetter):
    """No options beyond `Task`'s."""

    full: ClassVar[Mapping[str, FileSource]] = {
        path.removeprefix("data/v1/").removesuffix(".jsonl"): file
        for path, file in files_of("agieval").items()
    }
    sample: ClassVar[SampleSource] = SampleSource("agieval")
    size: ClassVar[int] = 2546
    letters: ClassVar[str | None] = "ABCDEF"

    condition: str | None = "GPT4 Correct"

    def item(self, subset: str, index: int, row: Row) -> Item:
        """AGIEval's zero-shot prompt; its options bring their letters along."""
        letters = ascii_uppercase[: len(row["options"])]
        prompt = (
            f"{row['passage'] or ''}Q: {row['question']} "
            f"Answer Choices: {' '.join(row['options'])}\n"
            f"A: Among A through {letters[-1]}, the answer is"
        )
        return make_item(self, subset, index, prompt, row["label"], letters)

    def cluster(self, item: Item) -> str:
        """Items that share a passage."""
        if item.subset in _SAT_EN:
            return f"sat-en/{bisect(_SAT_PASSAGES, item.index)}"
        passage = item.turns[0].partition("Q: ")[0]  # which stands in no passage
        return f"{item.subset}/{passage}" if passage else item.id

    def stratum(self, item: Item) -> str:
        """The subset; the two SAT English sets, which share their clusters, are one."""
        return "sat-en" if item.subset in _SAT_EN else item.subset
