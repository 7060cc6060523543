"""MMLU (Hendrycks et al. 2021): 57 subjects, four choices, five examples with reasoning.

Published setting: openchat's evaluation of January 2024, with chain-of-thought hub's examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ochat_eval.benchmark.fewshot import first_examples, shared_block
from ochat_eval.benchmark.shapes import LABELS, MarkedChoice, WorkedExamples, by_subset
from ochat_eval.benchmark.task import OnHub, make_item
from ochat_eval.data.files import files_of
from ochat_eval.data.hub import HubSource
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item, UserError

TEST = HubSource(
    id="cais/mmlu",
    config="all",
    split="test",
    revision="c30699e8356da336a370243923dbaf21066bb9fe",
    rows=14042,
    digest="d9f2a8d5b8a8e26db75d8a1851932fa750096abe95e57e6fec499131ccf9c15b",
    # With the blank of `_as_published`, which public copies have.
    also="c808c0f63ddd07ec0f68739ffce3cdded3a92c50076cb9f0d9533b2bcee39ce1",
)
_NONE_ROWS = 10
"""Of the rows of `TEST`, those with a choice `None`."""
_FOLDER = "ochat/evaluation/eval_data/fs_cothub/mmlu/"
PUBLISHED = {
    path.removeprefix(_FOLDER).removesuffix(".jsonl"): file
    for path, file in files_of("openchat").items()
    if path.startswith(_FOLDER)
}
SAMPLE = SampleSource("mmlu")
_START = "Q: "  # of an example
_MOST = 5  # examples; three subjects have four


@dataclass(frozen=True, kw_only=True)
class Mmlu(WorkedExamples, MarkedChoice):
    """The published quirks are options, of the benchmark's data (not of the sample items).

    Attributes:
        first_row_lost: leave out each subject's first row, lost as a CSV header.
        none_as_nan: show the choice `None` as `nan`: pandas reads it as missing.
        num_fewshot: examples before the question, from 0 to 5; None for all. The subject's
            heading stays with none, as in the authors' own zero-shot prompt.
    """

    default: ClassVar[str | None] = "(C)"
    question_end: ClassVar[str] = "A: Let's think step by step."
    on_hub: ClassVar[OnHub | None] = OnHub(TEST.id, TEST.config, TEST.split)

    condition: str | None = "GPT4 Correct"
    first_row_lost: bool = True
    none_as_nan: bool = True

    def sources(self) -> tuple[Source[Any], ...]:
        return (SAMPLE,) if self.data == "sample" else (TEST, *PUBLISHED.values())

    def expected_items(self) -> int | None:
        if self.data == "sample":
            return None
        return TEST.rows - len(PUBLISHED) if self.first_row_lost else TEST.rows

    def items(self) -> Iterator[Item]:
        if self.num_fewshot is not None and not 0 <= self.num_fewshot <= _MOST:
            option = f"tasks.{self.name}.num_fewshot"
            raise UserError(f"{option} is {self.num_fewshot}; it must be from 0 to {_MOST}")
        lost = self.first_row_lost and self.data != "sample"
        for subject, block, rows in self._subjects():
            examples = self._shortened(block)
            for index, row in enumerate(rows):
                if index or not lost:
                    yield self._item(subject, index, row, examples)

    def quirks(self) -> dict[str, int]:
        """The first rows that are not asked, and the items with a choice shown as `nan`."""
        if self.data == "sample":
            return {}
        found = {}
        if self.first_row_lost:
            found["first_row_lost: rows never asked"] = len(PUBLISHED)
        if self.none_as_nan:
            found["none_as_nan: rows with the choice None shown as nan"] = _NONE_ROWS
        return found

    def _subjects(self) -> Iterator[tuple[str, str, list[Row]]]:
        """Each subject with its example block and its rows."""
        if self.data != "sample":
            for subject, rows in by_subset(TEST.load(), "subject").items():
                published = PUBLISHED[subject].jsonl()
                yield subject, shared_block([row["question"] for row in published]), rows
        else:
            for subject, rows in by_subset(SAMPLE.load(), "subject").items():
                block = "".join(row["block"] for row in rows if "block" in row)
                yield subject, block, [row for row in rows if "block" not in row]

    def _shortened(self, block: str) -> str:
        """The block with `num_fewshot` examples, all where it has fewer."""
        if self.num_fewshot is None or self.num_fewshot >= block.count("\n\n" + _START):
            return block
        return first_examples(block, _START, self.num_fewshot, f"tasks.{self.name}.num_fewshot")

    def _item(self, subject: str, index: int, row: Row, examples: str) -> Item:
        labels = LABELS[: len(row["choices"])]
        # Of all choices, pandas (its default missing values) reads only this text as missing.
        shown = ["nan" if c == "None" and self.none_as_nan else c for c in row["choices"]]
        choices = " ".join(f"{label} {choice}" for label, choice in zip(labels, shown, strict=True))
        question = (
            f"{_as_published(subject, index, row['question'])}\n{choices} \n{self.question_end}"
        )
        item = make_item(self, subject, index, question, labels[row["answer"]], labels)
        return self.asked(item, examples, _START)


def _as_published(subject: str, index: int, question: str) -> str:
    """The question as the published file has it: the row lacks a blank there."""
    if (subject, index) == ("college_medicine", 80):
        return question.replace("…\n", "… \n", 1)
    return question
